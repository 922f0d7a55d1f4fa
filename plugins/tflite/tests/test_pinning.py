from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from pupila_tflite.pinning import pinned

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs Linux")


@pytest.fixture
def other_thread():
    """Identity, as the system has it, of a thread that lives as long as the test."""
    done, known = threading.Event(), threading.Event()
    told = []

    def live():
        told.append(threading.get_native_id())
        known.set()
        done.wait()

    thread = threading.Thread(target=live)
    thread.start()
    known.wait()
    yield told[0]
    done.set()
    thread.join()


def test_all_threads_stay_on_one_core_and_are_free_again_after(other_thread):
    before = os.sched_getaffinity(0)
    with pytest.raises(RuntimeError), pinned(1):
        assert os.sched_getaffinity(0) == os.sched_getaffinity(other_thread) == {min(before)}
        raise RuntimeError
    assert os.sched_getaffinity(0) == os.sched_getaffinity(other_thread) == before


def test_a_thread_that_ends_meanwhile_is_no_error():
    thread = threading.Thread(target=threading.Event().wait, args=(0.05,))
    thread.start()
    with pinned(1):
        thread.join()


def test_more_cores_than_there_are_is_all_of_them():
    before = os.sched_getaffinity(0)
    with pinned(10_000):
        assert os.sched_getaffinity(0) == before
