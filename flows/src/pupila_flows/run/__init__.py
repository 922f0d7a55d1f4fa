"""The Prefect flows, and the stages that they are made of."""
