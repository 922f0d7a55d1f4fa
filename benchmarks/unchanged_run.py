"""Cost of a run when nothing has changed, compared with an empty Prefect flow.

    python benchmarks/unchanged_run.py [RECIPE] [--pairs 3]

Runs the recipe once so that every result is in the ledger (minutes, for a real one), then
alternates between an empty flow and `pupila run` of the unchanged recipe, each in its own process.
Prints both times, the median difference, and whether TensorFlow was imported.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EMPTY = """
from pupila_flows.station.temporary import TemporaryServer
from pupila_flows.workspace import Workspace
workspace = Workspace.at({workspace!r})
workspace.configure_prefect()
server = TemporaryServer(workspace)
from prefect import flow

@flow
def empty():
    pass

server.wait(print)
empty()
"""


def main() -> None:
    """Print the times of both and their difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(__file__).parent.parent / "examples" / "glaucoma.yaml"
    parser.add_argument("recipe", nargs="?", type=Path, default=default)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--workspace", type=Path, default=Path(".pupila"))
    options = parser.parse_args()
    workspace = options.workspace.resolve()
    ours = ["-m", "pupila_flows", "run", str(options.recipe), "--workspace", str(workspace)]
    print(f"first run, which does what is missing: {_seconds(ours):.0f} s")
    with tempfile.TemporaryDirectory() as other:
        _seconds(["-c", EMPTY.format(workspace=other)])  # creates the database
        differences: list[float] = []
        for _ in range(options.pairs):
            empty = _seconds(["-c", EMPTY.format(workspace=other)])
            unchanged = _seconds(ours)
            differences.append(unchanged - empty)
            print(f"empty flow {empty:.1f} s, unchanged run {unchanged:.1f} s")
    print(f"median difference {statistics.median(differences):+.1f} s (limit +5 s)")
    print(f"TensorFlow imported by the unchanged run: {_imports_tensorflow(ours)}")


def _seconds(arguments: list[str]) -> float:
    environment = {name: value for name, value in os.environ.items() if "PREFECT" not in name}
    start = time.monotonic()
    subprocess.run([sys.executable, *arguments], check=True, env=environment, capture_output=True)
    return time.monotonic() - start


def _imports_tensorflow(arguments: list[str]) -> bool:
    ended = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments], capture_output=True, text=True, check=True
    )
    return any(line.endswith("| tensorflow") for line in ended.stderr.splitlines())


if __name__ == "__main__":
    main()
