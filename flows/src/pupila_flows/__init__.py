"""Prefect flows, data validation, reports and the command line of Pupila."""
