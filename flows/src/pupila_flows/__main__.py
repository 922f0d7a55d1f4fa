"""`python -m pupila_flows` is `pupila`."""

from pupila_flows.cli import main

main()
