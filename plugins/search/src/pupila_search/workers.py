"""Trains candidates in parallel, in local processes or on machines of a cluster.

If a worker dies, only the candidate that it was training fails.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

from pupila import SubTaskFailed, WorkerPool
from pupila_search.candidates import CandidateMetrics
from pupila_search.latency import latency_of
from pupila_search.stage_training import (
    SubTask,
    TargetsFile,
    describe_failure,
    start_worker,
    train_stage,
    train_stage_remotely,
)
from pupila_search.training_targets import TrainingTargets

_DIED = "its worker died: killed, or out of memory"

TrainStage = Callable[[SubTask], CandidateMetrics | str]
"""Trains one stage of a candidate; returns its metrics or, if training failed, the reason."""


@dataclass(frozen=True)
class Workers:
    """Trains up to `count` candidates at once."""

    count: int
    train_one: TrainStage

    def train(
        self, subtasks: Sequence[SubTask], may_start: Callable[[], bool]
    ) -> Iterator[tuple[int, CandidateMetrics | str]]:
        """Train subtasks in parallel; yield the index and the result of each subtask when it ends.

        The index is that of the subtask in `subtasks`. The result is the metrics or, if training
        failed, the reason. `may_start` is called before each subtask: if it returns False, the
        subtask is skipped.

        Raises:
            OSError: a file cannot be read or written, most often because the disk is full.
            Exception: the worker pool failed, for example because it lost all its machines.
        """

        def one(subtask: SubTask) -> CandidateMetrics | str | None:
            return self.train_one(subtask) if may_start() else None

        with ThreadPoolExecutor(self.count) as threads:
            indices = {
                threads.submit(one, subtask): index for index, subtask in enumerate(subtasks)
            }
            failure: BaseException | None = None
            try:
                for future in as_completed(indices):
                    if future.cancelled():
                        continue
                    failure = failure or future.exception()
                    if failure:  # those that run are finished; no other begins
                        for waiting in indices:
                            waiting.cancel()
                    if not future.exception() and (outcome := future.result()) is not None:
                        yield indices[future], outcome
            finally:
                threads.shutdown(wait=False, cancel_futures=True)
        if failure:
            raise failure


@contextmanager
def workers(
    count: int, targets: TrainingTargets, worker_pool: WorkerPool | None, folder: Path
) -> Generator[Workers]:
    """Yield workers that train up to `count` candidates at once.

    The workers are machines of `worker_pool`, or local processes if `worker_pool` is None. The
    targets are written to `folder`, from which all workers read them.
    """
    file = TargetsFile.of(targets, folder)
    if worker_pool:
        yield Workers(count, _RemoteWorkers(worker_pool, targets, file).train_one)
        return
    here = _LocalWorkers(count, file)
    for _ in range(count):
        here.idle.put(here.start())
    try:
        yield Workers(count, here.train_one)
    finally:
        while not here.idle.empty():
            here.idle.get().shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True)
class _LocalWorkers:
    """Local workers, each in its own process pool, so that the others go on if a worker dies."""

    count: int
    file: TargetsFile
    idle: queue.SimpleQueue[ProcessPoolExecutor] = field(
        default_factory=queue.SimpleQueue[ProcessPoolExecutor]
    )

    def train_one(self, subtask: SubTask) -> CandidateMetrics | str:
        process = self.idle.get()
        try:
            return process.submit(train_stage, subtask, self.file).result()
        except BrokenProcessPool:
            process.shutdown(wait=False)
            process = self.start()
            return _DIED
        except OSError:  # of the machine, not of the candidate
            raise
        except Exception as error:
            return describe_failure(error)
        finally:
            self.idle.put(process)

    def start(self) -> ProcessPoolExecutor:
        """Return a pool of one process; the process starts with its first subtask."""
        context = get_context("spawn")
        return ProcessPoolExecutor(1, context, initializer=start_worker, initargs=(os.getpid(),))


@dataclass(frozen=True)
class _RemoteWorkers:
    """Machines of a cluster. Latency is measured on this machine, so that it can be compared."""

    worker_pool: WorkerPool
    targets: TrainingTargets
    file: TargetsFile
    measuring: threading.Lock = field(default_factory=threading.Lock)

    def train_one(self, subtask: SubTask) -> CandidateMetrics | str:
        if subtask.last and subtask.latency_ms is None:
            try:
                with self.measuring:
                    measured = latency_of(subtask.genome, self.targets)
            except (OSError, MemoryError):  # of the machine, not of the candidate
                raise
            except Exception as error:  # for example, a model that LiteRT does not take
                return describe_failure(error)
            subtask = subtask.model_copy(update={"latency_ms": measured})
        try:
            return self._call(subtask)
        except SubTaskFailed as error:
            return str(error)

    def _call(self, subtask: SubTask) -> CandidateMetrics | str:
        file = {"targets": str(self.file.path), "digest": self.file.digest}
        arguments = {"subtask": subtask.model_dump(mode="json")} | file
        answer = self.worker_pool.call(subtask.folder.name, train_stage_remotely, arguments)
        if "failed" in answer:
            return answer["failed"]
        if "broken" in answer:
            raise OSError(answer["broken"], answer["reason"])
        return CandidateMetrics.read(answer)
