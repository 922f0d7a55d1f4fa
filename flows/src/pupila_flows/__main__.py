"""`pupila`, also as `python -m pupila_flows`."""

from pupila_flows.stopping import stoppable


def main() -> None:
    """Run the command line, which signals can stop from its very beginning."""
    with stoppable():
        from pupila_flows.cli.main import main as run

        run()


if __name__ == "__main__":
    main()
