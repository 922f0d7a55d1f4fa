"""`python -m pupila_flows` is `pupila`."""

from pupila_flows.cli.main import main

main()
