from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pupila.pinning import pin

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs Linux")


@pytest.fixture
def other_thread() -> Iterator[int]:
    """Yield the system's id of a thread that lives as long as the test."""
    done, known = threading.Event(), threading.Event()
    ids: list[int] = []

    def live() -> None:
        ids.append(threading.get_native_id())
        known.set()
        done.wait()

    thread = threading.Thread(target=live)
    thread.start()
    known.wait()
    yield ids[0]
    done.set()
    thread.join()


def test_all_threads_stay_on_one_core_and_are_free_again_after(other_thread: int) -> None:
    before = os.sched_getaffinity(0)
    with pytest.raises(RuntimeError), pin(1):
        assert os.sched_getaffinity(0) == os.sched_getaffinity(other_thread) == {min(before)}
        raise RuntimeError
    assert os.sched_getaffinity(0) == os.sched_getaffinity(other_thread) == before


def test_a_thread_that_ends_meanwhile_is_not_an_error() -> None:
    thread = threading.Thread(target=threading.Event().wait, args=(0.05,))
    thread.start()
    with pin(1):
        thread.join()


def test_more_cores_than_there_are_means_all_of_them():
    before = os.sched_getaffinity(0)
    with pin(10_000):
        assert os.sched_getaffinity(0) == before
