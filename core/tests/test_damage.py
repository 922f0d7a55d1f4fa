"""Our files that a full disk or a lost page damaged are put aside, logged and made again."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pupila import manifest
from pupila.arrays import is_whole, read_archive, write_rows
from pupila.artifact import TIMINGS_NAME, Artifact, Origin
from pupila.damage import read_json
from pupila.measured import Measured
from pupila.spec import OutputSpec
from pupila.store import Store
from pupila.testing import INPUT, draw_images, ignore_progress, read_images

FIELDS: dict[str, Any] = {
    "format": "keras",
    "input": INPUT,
    "output": OutputSpec(kind="softmax", classes=("a", "b")),
    "origin": Origin(plugin="tiny", distribution="tiny", version="1"),
}
Spoil = Callable[[bytes], bytes]
SPOILT: dict[str, Spoil] = {
    "empty": lambda content: b"",
    "half": lambda content: content[: len(content) // 2],
    "zeroed": lambda content: bytes(len(content)),
    "noise": lambda content: np.random.default_rng(0).bytes(len(content)),
    "garbled at its start": lambda content: b"\xff" * 40 + content[40:],
}


@pytest.fixture(params=SPOILT)
def spoil(request: pytest.FixtureRequest) -> Callable[[Path], None]:
    def spoiled(file: Path) -> None:
        file.write_bytes(SPOILT[request.param](file.read_bytes()))

    return spoiled


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[Path], bool]:
    """Return whether one line of the log says that a file was put aside, and it was."""
    caplog.set_level(logging.WARNING, "pupila")

    def is_said(file: Path) -> bool:
        (line,) = caplog.messages
        (aside,) = file.parent.glob(f"{file.name}.damaged-*")
        return line == f"{file} is damaged: it is made again, and was put aside as {aside.name}."

    return is_said


def test_a_ledger_entry(
    tmp_path: Path, spoil: Callable[[Path], None], said: Callable[[Path], bool]
) -> None:
    store, entry = Store(tmp_path), tmp_path / "ledger" / "key.json"
    store.note("key", {"answer": 42})
    spoil(entry)
    assert store.recall("key") is None
    assert said(entry)
    store.note("key", {"answer": 42})
    assert store.recall("key") == {"answer": 42}


@pytest.mark.parametrize("content", [b"[" * 100_000, b"\xff\xfe", b"", b"{'a': 1}"])
def test_a_file_that_is_no_json(
    tmp_path: Path, content: bytes, said: Callable[[Path], bool]
) -> None:
    file = tmp_path / "figures.json"
    assert read_json(file) is None
    file.write_bytes(content)
    assert read_json(file) is None
    assert said(file)


def test_the_cache_of_a_scan(
    tmp_path: Path, spoil: Callable[[Path], None], said: Callable[[Path], bool]
) -> None:
    listing = manifest.read(draw_images(tmp_path / "images", images=3))
    expected = manifest.scan(listing, tmp_path / "cache", ignore_progress)
    (memory,) = (tmp_path / "cache").glob("scan-*.sqlite")
    spoil(memory)
    if memory.stat().st_size:  # an empty file is an empty database
        manifest.scan(listing, tmp_path / "cache", ignore_progress)
        assert said(memory)
    frame = manifest.scan(listing, tmp_path / "cache", ignore_progress)
    assert frame.equals(expected)


def test_a_page_inside_the_cache_of_a_scan(tmp_path: Path, said: Callable[[Path], bool]) -> None:
    listing = manifest.read(draw_images(tmp_path / "images", images=20))
    expected = manifest.scan(listing, tmp_path / "cache", ignore_progress)
    (memory,) = (tmp_path / "cache").glob("scan-*.sqlite")
    content = bytearray(memory.read_bytes())
    assert len(content) > 3 * 4096
    content[2 * 4096 : 2 * 4096 + 512] = b"\xa5" * 512
    memory.write_bytes(content)
    frame = manifest.scan(listing, tmp_path / "cache", ignore_progress)
    assert frame.equals(expected)
    assert said(memory)


def test_a_cache_that_another_process_writes_to_is_not_taken_for_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = manifest.read(draw_images(tmp_path / "images", images=1))
    manifest.scan(listing, tmp_path, ignore_progress)
    (memory,) = tmp_path.glob("scan-*.sqlite")
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path, timeout: connect(path, timeout=0.1))  # pyright: ignore
    with closing(connect(memory)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            manifest.scan(listing, tmp_path, ignore_progress)
    assert memory.exists()


def test_an_array(
    tmp_path: Path, spoil: Callable[[Path], None], said: Callable[[Path], bool]
) -> None:
    file = tmp_path / "answers.npy"
    assert not is_whole(file)
    write_rows(file, 6, [np.ones((6, 50), np.float32)])
    assert is_whole(file)
    assert is_whole(file, 6)
    spoil(file)
    assert not is_whole(file)
    assert said(file)


def test_an_array_of_other_images(tmp_path: Path, said: Callable[[Path], bool]) -> None:
    file = tmp_path / "answers.npy"
    write_rows(file, 6, [np.ones((6, 2), np.float32)])
    assert not is_whole(file, 7)
    assert said(file)


def test_any_byte_of_the_header_of_an_array(tmp_path: Path) -> None:
    file, random = tmp_path / "answers.npy", np.random.default_rng(1)
    for _ in range(1000):
        write_rows(file, 6, [np.ones((6, 2), np.float32)])
        content = bytearray(file.read_bytes())
        content[random.integers(0, 128)] = random.integers(0, 256)
        file.write_bytes(content)
        is_whole(file, 6)  # yes or no, and no error


def test_resized_pixels(
    tmp_path: Path, spoil: Callable[[Path], None], said: Callable[[Path], bool]
) -> None:
    dataset = read_images(draw_images(tmp_path / "images", images=3), tmp_path / "cache")
    expected = np.asarray(dataset.pixels(INPUT))
    (file,) = (tmp_path / "cache" / "pixels").glob("*.npy")
    spoil(file)
    assert (np.asarray(dataset.pixels(INPUT)) == expected).all()
    assert said(file)


def test_an_archive_of_arrays(
    tmp_path: Path, spoil: Callable[[Path], None], said: Callable[[Path], bool]
) -> None:
    file = tmp_path / "weights.npz"
    assert read_archive(file) is None
    np.savez(file, a=np.ones(500), b=np.zeros(3))
    arrays = read_archive(file)
    assert arrays and {name: array.size for name, array in arrays.items()} == {"a": 500, "b": 3}
    spoil(file)
    assert read_archive(file) is None
    assert said(file)


def test_any_byte_of_an_archive(tmp_path: Path) -> None:
    file, random = tmp_path / "weights.npz", np.random.default_rng(1)
    np.savez(file, a=np.ones(5), b=np.zeros(3))
    sound = file.read_bytes()
    for position in range(len(sound)):
        content = bytearray(sound)
        content[position] ^= random.integers(1, 256)
        file.write_bytes(content)
        read_archive(file)  # arrays or none, and no error
    for length in range(0, len(sound), 5):
        file.write_bytes(sound[:length])
        assert read_archive(file) is None


def test_the_times_of_an_artifact(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = Store(tmp_path / "store")

    def made() -> Artifact:
        with store.draft() as draft:
            (draft / "a.bin").write_bytes(b"1")
            return store.add(draft, **FIELDS, measured=Measured(clock={"seconds": 2.0}))

    sound = made()
    timings = sound.path / TIMINGS_NAME
    for content in (b"", b"[", timings.read_bytes()[:-4], b"\xff" * 9):
        timings.write_bytes(content)
        caplog.clear()
        assert "seconds" not in store.open(sound.digest).record.measured
        assert not timings.exists()
        (line,) = caplog.messages
        assert line.startswith(f"{timings} is damaged: the times that were measured are left out")
        store.open(sound.digest)
        assert caplog.messages == [line]
        assert made() == sound == store.open(sound.digest)  # made again, for whatever reason
    assert len([file for file in store.leftovers() if "damaged" in file.name]) == 4
