"""Cost of running a step on a Dask cluster instead of this machine, and of losing a worker.

    python benchmarks/cluster.py [--pairs 5] [--epochs 30]

A scheduler and two workers are started here, each in its own process. All of them run on one
machine, so this measures costs, not what more machines gain. It prints:

* a step that does nothing, here and on the cluster in turn: the cost beyond a child process;
* steps that only wait, on one worker and on more: the cost of the scheduler;
* a training, here and on the cluster in turn;
* a training whose worker is killed half-way, compared with undisturbed ones; bytes.
"""

from __future__ import annotations

import argparse
import logging
import os
import pickle
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import copy_context
from dataclasses import replace
from pathlib import Path
from typing import Any

from distributed import LocalCluster

from pupila.dataset import Dataset
from pupila.runtime import Progress
from pupila_flows.data.reading import read_data
from pupila_flows.data.synthetic import write_images
from pupila_flows.execution.call import ProcessCall
from pupila_flows.execution.child import name_of
from pupila_flows.execution.dask import Cluster, connect
from pupila_flows.execution.job import JobResult
from pupila_flows.execution.session import perform, session
from pupila_flows.execution.worker_check import publish_requirements
from pupila_flows.jobs.artifact_job import StoredArtifact
from pupila_flows.jobs.run_step import RunStep
from pupila_flows.plan.expand import Node, expand
from pupila_flows.plan.reading import read_plan
from pupila_flows.workspace import Workspace

JOBS = """
import time

def wait(*, progress, seconds):
    time.sleep(seconds)
    return {}
"""
RECIPE = """\
name: benchmark
data: {{path: images}}
steps:
  small:
    use: train
    with: {{student: conv-32-64-8, size: 64, epochs: {epochs}, augmentation: {{views: 2}}}}
"""
_WAITS, _WAIT_SECONDS = 8, 5.0


def main() -> None:
    """Print all measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=30)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "waiting_jobs.py").write_text(JOBS)
        os.environ["PYTHONPATH"] = str(folder)
        sys.path.insert(0, str(folder))
        with start_workers(2) as machines:
            print_nothing(folder, machines.scheduler_address, options.pairs)
        for count in (1, 2, 4):
            with start_workers(count) as machines:
                print_waiting(folder, machines.scheduler_address, count)
        with start_workers(2) as machines:
            print_training(folder, machines, options.pairs, options.epochs)


@contextmanager
def start_workers(count: int) -> Generator[Any]:
    """Start a scheduler here and workers in their own processes."""
    with LocalCluster(
        n_workers=count,
        threads_per_worker=1,
        processes=True,
        dashboard_address=":0",
        silence_logs=logging.CRITICAL,
    ) as machines:
        yield machines


def print_nothing(folder: Path, address: str, pairs: int) -> None:
    """Compare the times of a step that does nothing."""
    workspace = Workspace.at(folder / "nothing")
    here, there = list[float](), list[float]()
    with connect(workspace, address) as cluster:
        _call(cluster, workspace, 0)  # the worker imports once
        for _ in range(pairs):
            here.append(_seconds(lambda: _run_here(workspace)))
            there.append(_seconds(lambda: _call(cluster, workspace, 0)))
    _print_pairs("a step that does nothing", here, there)


def print_training(folder: Path, machines: LocalCluster, pairs: int, epochs: int) -> None:
    """Compare the times of a training, and of one whose worker is killed."""
    write_images(folder / "images", {"train": 40, "validation": 10, "test": 10}, 5, _ignore)
    (folder / "recipe.yaml").write_text(RECIPE.format(epochs=epochs))
    (node,) = expand(read_plan(folder / "recipe.yaml"))
    workspace = Workspace.at(folder / "trained")
    dataset = read_data(folder / "images", None, workspace.cache)
    address = machines.scheduler_address
    _train(workspace, node, dataset, 99, None)  # caches the pixels
    here, there = list[float](), list[float]()
    for seed in range(pairs):
        here.append(_train(workspace, node, dataset, seed, None).seconds)
        there.append(_train(workspace, node, dataset, 100 + seed, address).seconds)
    _print_pairs(f"a training of {epochs} epochs", here, there)
    with _watch(workspace.root / "scratch") as peak:
        killed = _train(workspace, node, dataset, 200, address, _killer(machines))
    print(f"  its worker killed half-way: {killed.seconds:.1f} s")
    print(f"    times an undisturbed one: {killed.seconds / statistics.median(there):.2f}")
    print(f"  bytes sent to a worker: {_sent_bytes(workspace, node, dataset)}")
    artifact = workspace.store.open(killed.value.artifact).path
    print(f"  artifact {_bytes(artifact):,} bytes, checkpoints at most {peak[0]:,} bytes")
    print(f"  images {_bytes(folder / 'images'):,} bytes, cache {_bytes(workspace.cache):,} bytes")


def _sent_bytes(workspace: Workspace, node: Node, dataset: Dataset) -> int:
    """Return the size of what a worker receives for a step; it returns progress and a digest."""
    job = RunStep.of(workspace, node, dataset)
    paths = (
        workspace.log(job.title, job.key),
        1.0,
        workspace.lock(job.key),
        workspace.lock(job.key),
    )
    process_call = ProcessCall(job.target, job.model_dump(mode="json"), *paths)
    with publish_requirements(workspace, [workspace.root]) as requirements:
        return len(pickle.dumps((process_call, requirements)))


def print_waiting(folder: Path, address: str, count: int) -> None:
    """Print the time that steps which only wait take together."""
    workspace = Workspace.at(folder / f"waiting-{count}")
    with connect(workspace, address) as cluster, ThreadPoolExecutor(_WAITS) as threads:
        list(threads.map(lambda _: _call(cluster, workspace, 0), range(count)))
        took = _seconds(
            lambda: list(
                threads.map(lambda _: _call(cluster, workspace, _WAIT_SECONDS), range(_WAITS))
            )
        )
    ideal = _WAITS * _WAIT_SECONDS / count
    print(
        f"{_WAITS} steps that wait {_WAIT_SECONDS:.0f} s, workers: {count}: {took:.1f} s, "
        f"{took / ideal:.2f} times what waiting alone takes"
    )


def _process_call(workspace: Workspace, seconds: float) -> ProcessCall:
    from waiting_jobs import wait  # pyright: ignore[reportMissingImports] - written above

    key = f"wait-{time.monotonic_ns()}"
    caller_lock, child_lock = workspace.lock(key), workspace.lock(f"{key}-try")
    log = workspace.log("wait", key)
    return ProcessCall(name_of(wait), {"seconds": seconds}, log, None, caller_lock, child_lock)


def _call(cluster: Cluster, workspace: Workspace, seconds: float) -> None:
    from filelock import FileLock

    process_call = _process_call(workspace, seconds)
    with FileLock(process_call.caller_lock):
        cluster.call(process_call, _ignore)


def _run_here(workspace: Workspace) -> None:
    from pupila_flows.execution.child import Children

    _process_call(workspace, 0).run(_ignore, Children())


def _train(
    workspace: Workspace,
    node: Node,
    dataset: Dataset,
    seed: int,
    address: str | None,
    progress: Progress | None = None,
) -> JobResult[StoredArtifact]:
    """Train with its own seed, so that nothing is in the ledger."""
    job = RunStep.of(workspace, replace(node, seed=seed), dataset)

    def train() -> JobResult[StoredArtifact]:
        with session(workspace, 1, address):
            return perform(job, progress)

    result = copy_context().run(train)
    if result.cached:
        raise RuntimeError("the result was in the ledger: nothing was measured")
    return result


def _killer(machines: LocalCluster) -> Progress:
    """Return a progress callback that kills, half-way and once, the worker that runs the step."""
    alive = [True]

    def kill(done: int, total: int, what: str) -> None:
        del what
        if alive[0] and total > 1 and 2 * done >= total:
            alive[0] = False
            os.kill(_busy(machines), signal.SIGKILL)

    return kill


def _busy(machines: LocalCluster) -> int:
    """Return the process id of the busy worker."""
    scheduler: Any = machines.scheduler
    (state,) = (worker for worker in scheduler.workers.values() if worker.processing)
    nannies: Any = machines.workers
    return nannies[state.name].process.pid


@contextmanager
def _watch(folder: Path) -> Generator[list[int]]:
    """Yield a list whose only item is the largest size of a folder so far."""
    peak, over = [0], threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            with suppress(FileNotFoundError):  # removed meanwhile
                peak[0] = max(peak[0], _bytes(folder))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        over.set()
        thread.join()


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _seconds(job: Callable[[], object]) -> float:
    start = time.monotonic()
    job()
    return time.monotonic() - start


def _print_pairs(title: str, here: list[float], there: list[float]) -> None:
    ratios = [second / first for first, second in zip(here, there, strict=True)]
    print(f"{title}, {len(here)} pairs in turn, medians:")
    print(f"  here {statistics.median(here):.2f} s, there {statistics.median(there):.2f} s")
    print(f"  there / here {statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})")


def _ignore(done: int, total: int, what: str) -> None:
    del done, total, what


if __name__ == "__main__":
    main()
