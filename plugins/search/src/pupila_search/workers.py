"""What trains candidates side by side: processes here, or machines of a cluster.

When one of them dies, only its candidate is lost.
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
from pupila_search.learning import LessonFile, Task, begin, learn, learn_elsewhere, reason_of
from pupila_search.training_targets import Lesson

_DIED = "its worker died: killed, or out of memory"

Learn = Callable[[Task], CandidateMetrics | str]
"""Trains a stage and returns its figures, or why it failed."""


@dataclass(frozen=True)
class Workers:
    """Whoever can train so many candidates at once."""

    count: int
    learn: Learn

    def train(
        self, tasks: Sequence[Task], may_start: Callable[[], bool]
    ) -> Iterator[tuple[int, CandidateMetrics | str]]:
        """Yield the place of each task and what came of it, or why it failed, as they end.

        A task that `may_start` has no more time for is left out.

        Raises:
            OSError: a file cannot be read or written; the disk is full, most often.
            Exception: of a worker pool, when all its machines were lost.
        """

        def one(task: Task) -> CandidateMetrics | str | None:
            return self.learn(task) if may_start() else None

        with ThreadPoolExecutor(self.count) as threads:
            places = {threads.submit(one, each): place for place, each in enumerate(tasks)}
            failure: BaseException | None = None
            try:
                for future in as_completed(places):
                    if future.cancelled():
                        continue
                    failure = failure or future.exception()
                    if failure:  # what is under way is kept; nothing else begins
                        for each in places:
                            each.cancel()
                    if not future.exception() and (came := future.result()) is not None:
                        yield places[future], came
            finally:
                threads.shutdown(wait=False, cancel_futures=True)
        if failure:
            raise failure


@contextmanager
def workers(
    count: int, lesson: Lesson, worker_pool: WorkerPool | None, folder: Path
) -> Generator[Workers]:
    """Yield workers, of a worker pool where there is one; all read the lesson in the folder."""
    file = LessonFile.of(lesson, folder)
    if worker_pool:
        yield Workers(count, _Distant(worker_pool, lesson, file).learn)
        return
    here = _Processes(count, file)
    for _ in range(count):
        here.idle.put(here.started())
    try:
        yield Workers(count, here.learn)
    finally:
        while not here.idle.empty():
            here.idle.get().shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True)
class _Processes:
    """Pools of one process for each worker, so that a death breaks no other's."""

    count: int
    file: LessonFile
    idle: queue.SimpleQueue[ProcessPoolExecutor] = field(
        default_factory=queue.SimpleQueue[ProcessPoolExecutor]
    )

    def learn(self, task: Task) -> CandidateMetrics | str:
        process = self.idle.get()
        try:
            return process.submit(learn, task, self.file).result()
        except BrokenProcessPool:
            process.shutdown(wait=False)
            process = self.started()
            return _DIED
        except OSError:  # of the machine, not of the candidate
            raise
        except Exception as error:
            return reason_of(error)
        finally:
            self.idle.put(process)

    def started(self) -> ProcessPoolExecutor:
        """Return a process that starts with its first task."""
        context = get_context("spawn")
        return ProcessPoolExecutor(1, context, initializer=begin, initargs=(os.getpid(),))


@dataclass(frozen=True)
class _Distant:
    """Machines of a cluster. Latencies are measured here, as they are compared with each other."""

    worker_pool: WorkerPool
    lesson: Lesson
    file: LessonFile
    measuring: threading.Lock = field(default_factory=threading.Lock)

    def learn(self, task: Task) -> CandidateMetrics | str:
        if task.last and task.latency_ms is None:
            try:
                with self.measuring:
                    measured = latency_of(task.genome, self.lesson)
            except (OSError, MemoryError):  # of the machine, not of the candidate
                raise
            except Exception as error:  # a model that LiteRT does not take, say
                return reason_of(error)
            task = task.model_copy(update={"latency_ms": measured})
        try:
            return self._learnt(task)
        except SubTaskFailed as error:
            return str(error)

    def _learnt(self, task: Task) -> CandidateMetrics | str:
        file = {"lesson": str(self.file.path), "digest": self.file.digest}
        arguments = {"task": task.model_dump(mode="json")} | file
        answer = self.worker_pool.call(task.folder.name, learn_elsewhere, arguments)
        if "failed" in answer:
            return answer["failed"]
        if "broken" in answer:
            raise OSError(answer["broken"], answer["reason"])
        return CandidateMetrics.read(answer)
