"""A disk that is full, read-only or limits files: one sentence, early if possible."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from pupila.disk import check_room, explain_disk_error, explain_disk_errors
from pupila.errors import PupilaError
from pupila.store import write_atomically


def refused(number: int, file: str | None = None) -> OSError:
    return OSError(number, os.strerror(number), file)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (refused(errno.ENOSPC), "is full"),
        (refused(errno.EDQUOT), "your quota is used up"),
        (refused(errno.EROFS, "/elsewhere/model.keras"), "The disk of '/elsewhere' (mounted at"),
        (refused(errno.EFBIG), "accepts no file of that size"),
        (sqlite3.OperationalError("database or disk is full"), "is full"),
        (sqlite3.OperationalError("attempt to write a readonly database"), "is read-only"),
        (OSError("Unable to synchronously write (errno = 28, No space left on device)"), "is full"),
        (RuntimeError("UNKNOWN: model.tflite; File too large"), "accepts no file of that size"),
    ],
)
def test_errors_of_the_disk_become_one_sentence(
    tmp_path: Path, error: Exception, words: str
) -> None:
    with pytest.raises(PupilaError) as caught, explain_disk_errors(tmp_path):
        raise error
    sentence = str(caught.value)
    assert words in sentence
    assert "The disk of" in sentence and "mounted at" in sentence
    assert len(sentence.splitlines()) == 1


@pytest.mark.parametrize(
    "error",
    [
        refused(errno.ENOENT, "/nowhere"),
        refused(errno.EACCES, "/etc/shadow"),
        ValueError("a mistake of ours"),
        sqlite3.OperationalError("database is locked"),
    ],
)
def test_other_errors_are_not_changed(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(type(error)) as same, explain_disk_errors(tmp_path):
        raise error
    assert same.value is error


def test_any_error_on_a_full_disk_is_reported_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left(monkeypatch, 3_000_000)
    sentence = explain_disk_error(RuntimeError("Prefect's server did not start"), tmp_path)
    assert sentence and "is full (3 MB left): free 100 MB or more and run again" in sentence


def left(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    usage = shutil.disk_usage("/")._replace(free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)  # pyright: ignore


def test_work_does_not_start_without_enough_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_room(tmp_path, 1_000_000)
    left(monkeypatch, 40_000_000)
    with pytest.raises(PupilaError, match="has 40 MB left, and 100 MB are needed: free some"):
        check_room(tmp_path, 100_000_000)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
def test_work_does_not_start_if_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def write(path: Path, content: bytes) -> int:
        raise refused(number, str(path))

    monkeypatch.setattr(Path, "write_bytes", write)
    with pytest.raises(PupilaError, match=r"^The disk of .* \(mounted at .*\) .*: .*\.$"):
        check_room(tmp_path, 1)


LIMITED = """
import sys
from pathlib import Path
from pupila.disk import check_room, explain_disk_errors
from pupila.errors import PupilaError
from pupila.store import write_atomically
folder = Path(sys.argv[1])
acts = lambda: check_room(folder, 10**8), lambda: write_atomically(folder / "a", bytes(10**6))
for act in acts:
    try:
        with explain_disk_errors(folder):
            act()
    except PupilaError as error:
        print(error)
print([each.name for each in folder.iterdir()])
"""


def test_a_limit_of_file_sizes_is_reported_before_and_during_work(tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))

    ran = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)],
        preexec_fn=limit,
        capture_output=True,
        text=True,
        check=True,
    )
    before, amid, files = ran.stdout.splitlines()
    assert before.startswith("Files may have 0 MB at most here (`ulimit -f`), and 100 MB are")
    assert "accepts no file of that size: it has a limit, or `ulimit -f` is set" in amid
    assert files == "[]"


def test_a_full_device_is_reported(tmp_path: Path) -> None:
    with (
        pytest.raises(PupilaError, match="is full"),
        explain_disk_errors(tmp_path),
        Path("/dev/full").open("wb") as full,
    ):
        full.write(bytes(100_000))
    write_atomically(tmp_path / "a", b"there is room here")
