"""The station: a Prefect server, its deployments and a worker, brought up by one command."""
