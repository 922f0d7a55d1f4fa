"""Worker processes that train side by side; when one dies, only its candidate is lost."""

from __future__ import annotations

import os
import queue
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context

from pupila_search.candidates import Figures
from pupila_search.learning import Task, begin, learn
from pupila_search.lesson import Lesson

_DIED = "its worker died: killed, or out of memory"


@dataclass(frozen=True)
class Workers:
    """A pool of one process for each worker, so that a death breaks no other's."""

    count: int
    lesson: Lesson
    idle: queue.SimpleQueue[ProcessPoolExecutor]

    def train(
        self, tasks: Sequence[Task], may_start: Callable[[], bool]
    ) -> Iterator[tuple[int, Figures | Exception]]:
        """Yield the place of each task and what came of it, as they end.

        A task that `may_start` has no more time for is left out.
        """
        with ThreadPoolExecutor(self.count) as threads:
            places = {
                threads.submit(self._train, each, may_start): place
                for place, each in enumerate(tasks)
            }
            try:
                for future in as_completed(places):
                    came = future.result()
                    if came is not None:
                        yield places[future], came
            finally:
                threads.shutdown(wait=False, cancel_futures=True)

    def _train(self, task: Task, may_start: Callable[[], bool]) -> Figures | Exception | None:
        if not may_start():
            return None
        process = self.idle.get()
        try:
            return process.submit(learn, task).result()
        except BrokenProcessPool:
            process.shutdown(wait=False)
            process = _process(self.lesson, self.count)
            return MemoryError(_DIED)
        except Exception as error:
            return error
        finally:
            self.idle.put(process)


@contextmanager
def workers(count: int, lesson: Lesson) -> Generator[Workers]:
    """Start as many processes as are asked for, and end them."""
    pool = Workers(count, lesson, queue.SimpleQueue())
    for _ in range(count):
        pool.idle.put(_process(lesson, count))
    try:
        yield pool
    finally:
        while not pool.idle.empty():
            pool.idle.get().shutdown(wait=False, cancel_futures=True)


def _process(lesson: Lesson, count: int) -> ProcessPoolExecutor:
    """Return a process that starts with its first task, and shares the cores with the others."""
    threads = max(1, (os.cpu_count() or 1) // count)
    return ProcessPoolExecutor(
        1, get_context("spawn"), initializer=begin, initargs=(lesson, os.getpid(), threads)
    )
