"""Runs jobs in child processes, on this machine or on the workers of a Dask cluster."""
