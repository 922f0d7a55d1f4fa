"""The Prefect flows `compress` and `sweep`, and the stages that a run goes through."""
