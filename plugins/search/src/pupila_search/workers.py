"""What trains candidates side by side: processes here, or machines of a cluster.

When one of them dies, only its candidate is lost.
"""

from __future__ import annotations

import errno
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

from pupila import Crew, PartFailed
from pupila_search.candidates import Figures
from pupila_search.latency import latency_of
from pupila_search.learning import Task, begin, learn, learn_elsewhere, reason_of, written
from pupila_search.lesson import Lesson

_DIED = "its worker died: killed, or out of memory"

Learn = Callable[[Task], Figures | str]
"""Trains a stage and returns its figures, or why it failed."""


@dataclass(frozen=True)
class Workers:
    """Whoever can train so many candidates at once."""

    count: int
    learn: Learn

    def train(
        self, tasks: Sequence[Task], may_start: Callable[[], bool]
    ) -> Iterator[tuple[int, Figures | str]]:
        """Yield the place of each task and what came of it, or why it failed, as they end.

        A task that `may_start` has no more time for is left out.

        Raises:
            OSError: the disk is full.
        """

        def one(task: Task) -> Figures | str | None:
            return self.learn(task) if may_start() else None

        with ThreadPoolExecutor(self.count) as threads:
            places = {threads.submit(one, each): place for place, each in enumerate(tasks)}
            try:
                for future in as_completed(places):
                    came = future.result()
                    if came is not None:
                        yield places[future], came
            finally:
                threads.shutdown(wait=False, cancel_futures=True)


@contextmanager
def workers(count: int, lesson: Lesson, crew: Crew | None, folder: Path) -> Generator[Workers]:
    """Yield workers: of a crew where there is one, which read the lesson in the folder."""
    if crew:
        yield Workers(count, _Distant(crew, lesson, written(lesson, folder)).learn)
        return
    here = _Processes(count, lesson)
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
    lesson: Lesson
    idle: queue.SimpleQueue[ProcessPoolExecutor] = field(
        default_factory=queue.SimpleQueue[ProcessPoolExecutor]
    )

    def learn(self, task: Task) -> Figures | str:
        process = self.idle.get()
        try:
            return process.submit(learn, task).result()
        except BrokenProcessPool:
            process.shutdown(wait=False)
            process = self.started()
            return _DIED
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise
            return reason_of(error)
        finally:
            self.idle.put(process)

    def started(self) -> ProcessPoolExecutor:
        """Return a process that starts with its first task and shares the cores with the others."""
        threads = max(1, (os.cpu_count() or 1) // self.count)
        given = self.lesson, os.getpid(), threads
        return ProcessPoolExecutor(1, get_context("spawn"), initializer=begin, initargs=given)


@dataclass(frozen=True)
class _Distant:
    """Machines of a cluster. Latencies are measured here, as they are compared with each other."""

    crew: Crew
    lesson: Lesson
    path: Path
    measuring: threading.Lock = field(default_factory=threading.Lock)

    def learn(self, task: Task) -> Figures | str:
        try:
            if task.last and task.latency_ms is None:
                with self.measuring:
                    measured = latency_of(task.genome, self.lesson)
                task = task.model_copy(update={"latency_ms": measured})
            return self._learnt(task)
        except PartFailed as error:
            return str(error)

    def _learnt(self, task: Task) -> Figures | str:
        arguments = {"task": task.model_dump(mode="json"), "lesson": str(self.path)}
        answer = self.crew.call(task.folder.name, learn_elsewhere, arguments)
        if "failed" in answer:
            return answer["failed"]
        if "full" in answer:
            raise OSError(errno.ENOSPC, answer["full"])
        return Figures(**answer)
