"""`pupila`, also as `python -m pupila_flows`."""

from pupila_flows.stopping import heeded


def main() -> None:
    """Run the command line, which signals can stop from its very beginning."""
    with heeded():
        from pupila_flows.cli.main import main as run

        run()


if __name__ == "__main__":
    main()
