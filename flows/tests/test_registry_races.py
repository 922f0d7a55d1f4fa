"""Publishers that meet, are killed or run out of disk: readers see whole versions and no others."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from fsspec.implementations.memory import MemoryFileSystem  # pyright: ignore - has no types
from fsspec.registry import register_implementation  # pyright: ignore - has no types
from publishable_runs import publishable_run, read_run, release

from pupila.errors import PupilaError
from pupila_flows.registry import Registry, open_registry
from pupila_flows.registry.publishing import Release, publish
from pupila_flows.registry.verify import verify_version

_TOUCHES = ("os.rename", "os.link", "os.mkdir", "os.remove")
"""Audit events after which something is otherwise on disk, beside files opened for writing."""


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return open_registry(str(tmp_path / "registry"))


def _assert_whole(registry: Registry) -> None:
    """Assert that whatever a reader can see is whole."""
    for number in registry.numbers("clinic"):
        assert verify_version(registry, "clinic", number).problems == ()
    events = registry.events("clinic")
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    current = registry.current("clinic")
    assert (current.number if current else None) == (events[-1].version if events else None)


def _killed_at(touch: int, registry: Registry, given: Release) -> bool:
    """Publish in a child that is killed at its `touch`-th change of the registry."""
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    left = touch

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        writes = event == "open" and (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR)
        if (writes or event in _TOUCHES) and registry.storage.url in str(arguments[0]):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    code = 1
    try:
        sys.addaudithook(count)
        code = 0 if publish(registry, given).outcome == "published" else 1
    finally:
        os._exit(code)


@pytest.mark.long
def test_a_publisher_that_is_killed_anywhere_leaves_what_was_and_the_next_one_completes(
    tmp_path: Path,
):
    zero, touches = release(tmp_path, b"zero"), 0
    while True:
        registry = open_registry(str(tmp_path / f"registry-{touches}"))
        publish(registry, zero)
        given = release(tmp_path, published=registry.current("clinic"))
        touches += 1
        if not _killed_at(touches, registry, given):
            break
        _assert_whole(registry)
        assert publish(registry, given).outcome in ("published", "unchanged")
        _assert_whole(registry)
        current = registry.current("clinic")
        assert current and current.artifacts == given.digests
    assert touches > 25, "killed at every file, folder and rename of a publication"


_PUBLISHER = """
import sys, time
from pathlib import Path
from publishable_runs import release
from pupila_flows.registry import open_registry
from pupila_flows.registry.publishing import publish

folder, mine, rounds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
given = release(folder, mine.encode())
for number in range(rounds):
    (folder / f"ready-{mine}-{number}").touch()
    while len(list(folder.glob(f"ready-*-{number}"))) < 2:
        time.sleep(0.001)
    told = publish(open_registry(str(folder / f"registry-{number}")), given)
    print(told.outcome, told.version)
"""


@pytest.mark.slow
def test_of_two_publishers_at_once_one_wins_and_neither_spoils_anything(tmp_path: Path):
    rounds = 8
    publishers = [
        subprocess.Popen(
            [sys.executable, "-c", _PUBLISHER, str(tmp_path), mine, str(rounds)],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)},
        )
        for mine in ("one", "two")
    ]
    outputs = [publisher.communicate(timeout=100)[0].splitlines() for publisher in publishers]
    assert [publisher.returncode for publisher in publishers] == [0, 0]
    for number, outcomes in enumerate(zip(*outputs, strict=True)):
        registry = open_registry(str(tmp_path / f"registry-{number}"))
        assert sorted(outcome.split()[0] for outcome in outcomes) == ["published", "withheld"], (
            outcomes
        )
        _assert_whole(registry)
        (event,) = registry.events("clinic")
        assert f"published {event.version}" in outcomes


def test_of_two_publishers_of_the_same_one_publishes_and_the_other_finds_it_done(
    registry: Registry, tmp_path: Path
):
    given = release(tmp_path)
    slow = _Meeting(registry, lambda: publish(registry, given))
    publication = publish(slow, given)
    assert (publication.outcome, publication.version) == ("unchanged", 2)
    assert publication.reason.endswith("Its files are kept as version 1.")
    assert registry.numbers("clinic") == [1, 2]
    _assert_whole(registry)


def test_the_files_of_the_one_that_came_too_late_are_kept_and_named(
    registry: Registry, tmp_path: Path
):
    other = release(tmp_path, b"other")
    publication = publish(_Meeting(registry, lambda: publish(registry, other)), release(tmp_path))
    assert publication.outcome == "withheld"
    assert "compared with nothing, and version 2 is current now" in publication.reason
    assert publication.reason.endswith("Its files are kept as version 1.")
    assert verify_version(registry, "clinic", 1).problems == ()


class _Meeting(Registry):
    """A registry whose publisher, when it looks again after writing, finds another was there."""

    def __init__(self, registry: Registry, other: Any) -> None:
        super().__init__(registry.storage)
        self._other = other
        self._looks = 0

    def events(self, name: str) -> Any:
        self._looks += 1
        if self._looks == 2:
            self._other()
        return super().events(name)


class _Failing(MemoryFileSystem):
    """Object storage that fails at a write, as a network does."""

    protocol = "failing"
    writes = 0

    def _count(self) -> None:
        type(self).writes -= 1
        if type(self).writes == 0:
            raise ConnectionError("the line went dead")

    def pipe_file(self, *args: Any, **kwargs: Any) -> None:
        self._count()
        super().pipe_file(*args, **kwargs)  # pyright: ignore - has no types

    def put_file(self, *args: Any, **kwargs: Any) -> None:
        self._count()
        super().put_file(*args, **kwargs)  # pyright: ignore - has no types


def test_object_storage_that_fails_anywhere_shows_nothing_half_written(tmp_path: Path):
    register: Any = register_implementation  # pyright: ignore - has no types
    register("failing", _Failing, clobber=True)
    given = release(tmp_path)
    failed = 0
    while True:
        registry = open_registry(f"failing://{uuid4().hex}")
        _Failing.writes = failed + 1
        try:
            publish(registry, given)
        except PupilaError as error:
            assert "the line went dead" in str(error)
        else:
            break
        failed += 1
        _assert_whole(registry)
        assert publish(registry, given).outcome in ("published", "unchanged")
        _assert_whole(registry)
    assert failed == 11, "a claim, eight files, the manifest, an event; the pointer is mended later"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("needs the right to mount a small disk")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_full_disk_leaves_what_was_and_with_room_the_next_try_completes(
    small_disk: Path, tmp_path: Path
):
    registry = open_registry(str(small_disk / "registry"))
    publish(registry, release(tmp_path))
    current = registry.current("clinic")
    large = release(tmp_path, os.urandom(2_000_000), published=current)
    with pytest.raises(PupilaError, match=r"No space left on device.*No partly written"):
        publish(registry, large)
    _assert_whole(registry)
    assert registry.numbers("clinic") == [1]
    assert not list((small_disk / "registry/clinic/staging").iterdir())
    subprocess.run(["mount", "-o", "remount,size=9m", str(small_disk)], check=True)
    assert publish(registry, large).version == 2
    _assert_whole(registry)


def test_drafts_of_killed_publishers_go_after_a_week(registry: Registry, tmp_path: Path):
    old = tmp_path / "registry/clinic/staging/abandoned"
    old.mkdir(parents=True)
    os.utime(old, (0, 0))
    publish(registry, release(tmp_path))
    assert not old.exists()
    assert json.loads((tmp_path / "registry/clinic/current.json").read_text())["version"] == 1


def test_a_result_names_no_publication_of_its_own(registry: Registry, tmp_path: Path):
    publish(registry, release(tmp_path))
    published = registry.storage.read("clinic/versions/000001/result.json") or b""
    assert json.loads(published)["publication"] is None
    assert read_run(publishable_run(tmp_path)).publication is None
