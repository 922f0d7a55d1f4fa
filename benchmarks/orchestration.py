"""Cost of a run beyond its steps: `pupila run` compared with the same calls in one process.

    python benchmarks/orchestration.py [RECIPE] [--pairs 1]

Both begin with an empty workspace and do the same: read and check data, load teachers, run every
step, evaluate every artifact. Directly, one process calls one function after another. `pupila run`
adds Prefect, a process for each job, keys, locks, checkpoints and the report, and runs up to
`--workers` branches at once. Prints both times and their ratio for each pair (limit: 1.10).
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

from pupila.testing import ignore_progress
from pupila_flows.data.reading import read_data
from pupila_flows.jobs.artifact_job import StoredArtifact
from pupila_flows.jobs.check_data import CheckData
from pupila_flows.jobs.evaluate import Evaluate
from pupila_flows.jobs.import_teacher import ImportTeacher
from pupila_flows.jobs.run_step import RunStep
from pupila_flows.plan.expand import expand
from pupila_flows.plan.plan import Plan
from pupila_flows.plan.reading import read_plan
from pupila_flows.workspace import Workspace


def main() -> None:
    """Print the times of both and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(__file__).parent.parent / "examples" / "glaucoma.yaml"
    parser.add_argument("recipe", nargs="?", type=Path, default=default)
    parser.add_argument("--pairs", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--directly", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.directly:
        run_directly(read_plan(options.recipe), Workspace.at(options.directly))
        return
    ratios: list[float] = []
    for _ in range(options.pairs):
        with tempfile.TemporaryDirectory() as folder:
            alone, whole = Path(folder) / "alone", Path(folder) / "whole"
            recipe = str(options.recipe.resolve())
            directly = _seconds([__file__, recipe, "--directly", str(alone)])
            ours = ["-m", "pupila_flows", "run", recipe, "--workspace", str(whole)]
            run = _seconds([*ours, "--set", f"workers={options.workers}"])
        ratios.append(run / directly)
        print(f"directly {directly:.0f} s, pupila run {run:.0f} s: ratio {ratios[-1]:.2f}")
    print(f"median ratio {statistics.median(ratios):.2f} (limit 1.10), {os.cpu_count()} cores")


def run_directly(plan: Plan, workspace: Workspace) -> None:
    """Do in this process what a run of a plan does, one call after another."""
    section = plan.recipe.data
    dataset = read_data(plan.data, section.classes, workspace.cache)
    positive = section.positive_class(dataset.classes)
    CheckData.of(workspace, dataset, section, str(plan.data)).run(ignore_progress)
    artifacts: dict[str, StoredArtifact] = {}
    for teacher in plan.teachers:
        artifacts[teacher.name] = ImportTeacher.of(workspace, teacher).run(ignore_progress)
    nodes = expand(plan)
    for node in nodes:
        job = RunStep.of(workspace, node, dataset).on([artifacts[name] for name in node.inputs])
        artifacts[node.name] = job.run(ignore_progress)
    compared = {node.name: node.teachers[0] for node in nodes if node.teachers}
    for name, stored in artifacts.items():
        artifact, other = workspace.store.open(stored.artifact), compared.get(name)
        reference = (other, artifacts[other].artifact) if other else None
        Evaluate.of(
            workspace, name, artifact, dataset, positive, plan.recipe.evaluate, reference
        ).run(ignore_progress)


def _seconds(arguments: list[str]) -> float:
    environment = {name: value for name, value in os.environ.items() if "PREFECT" not in name}
    start = time.monotonic()
    subprocess.run([sys.executable, *arguments], check=True, env=environment, capture_output=True)
    return time.monotonic() - start


if __name__ == "__main__":
    main()
