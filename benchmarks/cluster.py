"""What a step costs on a Dask cluster against this machine, and what a lost worker costs.

    python benchmarks/cluster.py [--pairs 5] [--epochs 30]

A scheduler and two workers are started here, each a process of its own; all of it runs on one
machine, so these are costs, and not what more machines gain. Prints, each from this one run:

* a step that does nothing, here and there in turn: what goes on top of a child process;
* steps that only wait, on one worker and on more: what the scheduler itself takes;
* a training, here and there in turn;
* a training whose worker is killed half-way, against those that were left alone; bytes.
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
from pupila_flows.execution.dask import Cluster, joined
from pupila_flows.execution.job import JobResult
from pupila_flows.execution.session import perform, session
from pupila_flows.execution.worker_check import required
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
    """Print every figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=30)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "waiting_jobs.py").write_text(JOBS)
        os.environ["PYTHONPATH"] = str(folder)
        sys.path.insert(0, str(folder))
        with workers(2) as machines:
            print_nothing(folder, machines.scheduler_address, options.pairs)
        for count in (1, 2, 4):
            with workers(count) as machines:
                print_waiting(folder, machines.scheduler_address, count)
        with workers(2) as machines:
            print_training(folder, machines, options.pairs, options.epochs)


@contextmanager
def workers(count: int) -> Generator[Any]:
    """Start a scheduler here and workers in processes of their own."""
    with LocalCluster(
        n_workers=count,
        threads_per_worker=1,
        processes=True,
        dashboard_address=":0",
        silence_logs=logging.CRITICAL,
    ) as machines:
        yield machines


def print_nothing(folder: Path, address: str, pairs: int) -> None:
    """Compare a step that does nothing."""
    place = Workspace.at(folder / "nothing")
    here, there = list[float](), list[float]()
    with joined(place, address) as cluster:
        _asked(cluster, place, 0)  # imports on the worker, once
        for _ in range(pairs):
            here.append(_seconds(lambda: _run_here(place)))
            there.append(_seconds(lambda: _asked(cluster, place, 0)))
    _print_pairs("a step that does nothing", here, there)


def print_training(folder: Path, machines: LocalCluster, pairs: int, epochs: int) -> None:
    """Compare a training, and one whose worker is killed."""
    write_images(folder / "images", {"train": 40, "validation": 10, "test": 10}, 5, _ignore)
    (folder / "recipe.yaml").write_text(RECIPE.format(epochs=epochs))
    (node,) = expand(read_plan(folder / "recipe.yaml"))
    place = Workspace.at(folder / "trained")
    dataset = read_data(folder / "images", None, place.cache)
    address = machines.scheduler_address
    _trained(place, node, dataset, 99, None)  # its pixels are kept from now on
    here, there = list[float](), list[float]()
    for seed in range(pairs):
        here.append(_trained(place, node, dataset, seed, None).seconds)
        there.append(_trained(place, node, dataset, 100 + seed, address).seconds)
    _print_pairs(f"a training of {epochs} epochs", here, there)
    with _watched(place.root / "scratch") as peak:
        killed = _trained(place, node, dataset, 200, address, _killer(machines))
    print(f"  its worker killed half-way: {killed.seconds:.1f} s")
    print(f"    times one left alone: {killed.seconds / statistics.median(there):.2f}")
    print(f"  bytes that name it to a worker: {_sent(place, node, dataset)}")
    made = place.store.open(killed.value.artifact).path
    print(f"  artifact {_bytes(made):,} bytes, checkpoints at most {peak[0]:,} bytes")
    print(f"  images {_bytes(folder / 'images'):,} bytes, cache {_bytes(place.cache):,} bytes")


def _sent(place: Workspace, node: Node, dataset: Dataset) -> int:
    """Return the size of what goes to a worker for a step; progress comes back, and a digest."""
    job = RunStep.of(place, node, dataset)
    paths = (place.log(job.title, job.key), 1.0, place.lock(job.key), place.lock(job.key))
    process_call = ProcessCall(job.target, job.model_dump(mode="json"), *paths)
    with required(place, [place.root]) as requirements:
        return len(pickle.dumps((process_call, requirements)))


def print_waiting(folder: Path, address: str, count: int) -> None:
    """Print how long steps take together that need no processor."""
    place = Workspace.at(folder / f"waiting-{count}")
    with joined(place, address) as cluster, ThreadPoolExecutor(_WAITS) as threads:
        list(threads.map(lambda _: _asked(cluster, place, 0), range(count)))
        took = _seconds(
            lambda: list(
                threads.map(lambda _: _asked(cluster, place, _WAIT_SECONDS), range(_WAITS))
            )
        )
    ideal = _WAITS * _WAIT_SECONDS / count
    print(
        f"{_WAITS} steps that wait {_WAIT_SECONDS:.0f} s, workers: {count}: {took:.1f} s, "
        f"{took / ideal:.2f} times what waiting alone takes"
    )


def _process_call(place: Workspace, seconds: float) -> ProcessCall:
    from waiting_jobs import wait  # pyright: ignore[reportMissingImports] - written above

    key = f"wait-{time.monotonic_ns()}"
    wanted, alone = place.lock(key), place.lock(f"{key}-try")
    log = place.log("wait", key)
    return ProcessCall(name_of(wait), {"seconds": seconds}, log, None, wanted, alone)


def _asked(cluster: Cluster, place: Workspace, seconds: float) -> None:
    from filelock import FileLock

    process_call = _process_call(place, seconds)
    with FileLock(process_call.wanted):
        cluster.call(process_call, _ignore)


def _run_here(place: Workspace) -> None:
    from pupila_flows.execution.child import Children

    _process_call(place, 0).run(_ignore, Children())


def _trained(
    place: Workspace,
    node: Node,
    dataset: Dataset,
    seed: int,
    address: str | None,
    told: Progress | None = None,
) -> JobResult[StoredArtifact]:
    """Train with a seed of its own, so that nothing is remembered."""
    job = RunStep.of(place, replace(node, seed=seed), dataset)

    def trained() -> JobResult[StoredArtifact]:
        with session(place, 1, address):
            return perform(job, told)

    result = copy_context().run(trained)
    if result.cached:
        raise RuntimeError("it was remembered: nothing was measured")
    return result


def _killer(machines: LocalCluster) -> Progress:
    """Return what kills, half-way and once, the worker that a step runs on."""
    alive = [True]

    def told(done: int, total: int, what: str) -> None:
        del what
        if alive[0] and total > 1 and 2 * done >= total:
            alive[0] = False
            os.kill(_busy(machines), signal.SIGKILL)

    return told


def _busy(machines: LocalCluster) -> int:
    """Return the process of the worker that runs something."""
    scheduler: Any = machines.scheduler
    (state,) = (each for each in scheduler.workers.values() if each.processing)
    nannies: Any = machines.workers
    return nannies[state.name].process.pid


@contextmanager
def _watched(folder: Path) -> Generator[list[int]]:
    """Yield a list whose only item is the largest size that a folder has had."""
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
