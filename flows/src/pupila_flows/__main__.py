"""Entry point of the command `pupila` and of `python -m pupila_flows`."""

from pupila_flows.stopping import stoppable


def main() -> None:
    """Run the command line; signals can stop it from the start, even during imports."""
    with stoppable():
        from pupila_flows.cli.main import main as run

        run()


if __name__ == "__main__":
    main()
