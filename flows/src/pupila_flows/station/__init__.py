"""The station: a Prefect server, its deployments and a worker, started by one command."""
