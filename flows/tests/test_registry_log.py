"""`pupila verify` reports a log that was altered, and nothing is added to it."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import typer.testing
from publishable_runs import empty_registry, published_text, release, with_three_versions

from pupila.errors import PupilaError
from pupila.store import Store
from pupila_flows.cli.main import app
from pupila_flows.registry import Registry, open_registry
from pupila_flows.registry.events import read_sound_log
from pupila_flows.registry.publishing import publish
from pupila_flows.registry.rollback import roll_back
from pupila_flows.registry.verify import verify_folder, verify_version

Attack = Callable[[Path], object]
"""What is done to the folder of `clinic`, which has three versions and a rollback to the second."""


@pytest.fixture
def folder(tmp_path: Path) -> Registry:
    registry = with_three_versions(open_registry(str(tmp_path / "registry")), tmp_path)
    roll_back(registry, "clinic", 2, "R.", "slow")
    return registry


def _edit(file: str, **changes: object) -> Attack:
    def edit(folder: Path) -> None:
        value = json.loads((folder / file).read_text())
        (folder / file).write_text(json.dumps(value | changes, indent=2))

    return edit


def _copy_event(source: int, target: int, **changes: object) -> Attack:
    def copy(folder: Path) -> None:
        shutil.copyfile(folder / _event(source), folder / _event(target))
        if changes:
            _edit(_event(target), **changes)(folder)

    return copy


def _delete(*files: str) -> Attack:
    return lambda folder: [(folder / file).unlink() for file in files]


def _write(file: str, content: str) -> Attack:
    return lambda folder: (folder / file).write_text(content)


def _instead(file: str, make: Attack) -> Attack:
    """Put something else where a file lies."""

    def put(folder: Path) -> None:
        (folder / file).unlink(missing_ok=True)
        make(folder / file)

    return put


def _behind_link(file: str) -> Attack:
    """Move a file or folder out of the registry, and leave a link that leads there."""

    def move(folder: Path) -> None:
        outside = folder.parent.parent / "outside"
        shutil.move(folder / file, outside)
        (folder / file).symlink_to(outside)

    return move


def _listen(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(path.parent)  # a socket's path must be short
        try:
            server.bind(path.name)
        finally:
            os.chdir(here)


def _event(number: int) -> str:
    return f"events/{number:06d}.json"


ALTERED_LOG: dict[str, tuple[Attack, str]] = {
    "an old event under a higher number": (_copy_event(1, 5), "000005.json holds the number 1"),
    "the same with its number changed": (
        _copy_event(1, 5, number=5),
        "000005.* previous event is wrong",
    ),
    "the same far ahead": (_copy_event(1, 9, number=9), "000009.*event 5 comes next"),
    "an event that says another name": (
        _edit(_event(2), by="nobody"),
        "000003.* previous event is wrong",
    ),
    "an event with another reason": (
        _edit(_event(3), reason="well"),
        "000004.* previous event is wrong",
    ),
    "the last event with another name": (_edit(_event(4), by="nobody"), "SHA-256 than event 4"),
    "the last event with another reason": (_edit(_event(4), reason="x"), "SHA-256 than event 4"),
    "the first event chained to one": (
        _edit(_event(1), before="0" * 64),
        "000001.*previous event is wrong",
    ),
    "an event that names none before": (
        _edit(_event(3), before=None),
        "000003.*previous event is wrong",
    ),
    "the first event deleted": (_delete(_event(1)), "000002.*event 1 comes next"),
    "an event deleted": (_delete(_event(2)), "000003.*event 2 comes next"),
    "the last event deleted": (_delete(_event(4)), "names event 4, but the last event is 3"),
    "an event that is none": (_write(_event(2), "{}"), "000002.json is not an event"),
    "an event behind a link": (_behind_link(_event(4)), "000004.json: it is a link"),
    "an event that is a link to nothing": (
        lambda path: (path / _event(5)).symlink_to("nowhere"),
        "000005.json: it is a link",
    ),
    "an event that is a FIFO": (_instead(_event(4), os.mkfifo), "000004.json: it is a FIFO"),
    "an event that is a socket": (_instead(_event(5), _listen), "000005.json: it is a socket"),
    "an event that is a folder": (_instead(_event(5), Path.mkdir), "000005.json is a folder"),
    "all events behind a link": (_behind_link("events"), "events is a link"),
    "a pointer ahead of the events": (_edit("current.json", event=99), "names event 99"),
    "a pointer to another event": (
        _edit("current.json", sha256="0" * 64),
        "SHA-256 than event 4",
    ),
    "a pointer behind a link": (_behind_link("current.json"), "current.json: it is a link"),
    "a pointer that is a FIFO": (_instead("current.json", os.mkfifo), "current.json: it is a FIFO"),
}


@pytest.mark.parametrize(("attack", "words"), ALTERED_LOG.values(), ids=ALTERED_LOG)
def test_a_log_that_was_altered_is_told_and_nothing_is_added_to_it(
    folder: Registry, tmp_path: Path, attack: Attack, words: str
):
    current = folder.current("clinic")
    path = tmp_path / "registry" / "clinic"
    attack(path)
    before = sorted(path.rglob("*"))
    problems = verify_version(folder, "clinic", None).problems
    assert [problem for problem in problems if re.search(words, problem)], problems
    with pytest.raises(PupilaError):
        publish(folder, release(tmp_path, b"fourth", published=current))
    with pytest.raises(PupilaError):
        roll_back(folder, "clinic", 1, "me", "because")
    assert sorted(path.rglob("*")) == before


STRANGE: dict[str, tuple[Attack, str]] = {
    "a pointer that says another version": (
        _edit("current.json", version=1, path="versions/000001"),
        "current.json: it matches no",
    ),
    "a pointer without an event": (_write("current.json", '{"version": 1}'), "matches no event"),
    "a pointer that is not JSON": (_write("current.json", "["), "current.json: it matches no"),
    "a pointer of deep JSON": (
        _write("current.json", "[" * 99_999),
        "current.json: it matches no",
    ),
    "a file beside the log": (_write("evil.sh", "#!/bin/sh"), "evil.sh: no publisher creates"),
    "a file among events": (_write("events/7.json", "{}"), "events/7.json: no publisher"),
    "a file among numbers": (_write("numbers/x", ""), "numbers/x: no publisher"),
    "a file among versions": (_write("versions/latest", ""), "versions/latest: no publisher"),
    "a link among versions": (
        lambda path: (path / "versions/latest").symlink_to("000001"),
        "versions/latest: it is a link",
    ),
    "a link to a host's file": (
        lambda path: (path / "passwd").symlink_to("/etc/passwd"),
        "passwd: it is a link",
    ),
    "a FIFO in a version": (
        lambda path: os.mkfifo(path / "versions/000002/more"),
        "more: it is a FIFO",
    ),
    "a file of a version behind a link": (
        _behind_link("versions/000002/card.md"),
        "card.md: it is a link",
    ),
    "a folder of a version behind a link": (
        _behind_link("versions/000002/artifacts/int8/labels"),
        "int8/labels: it is a link",
    ),
    "another version's manifest": (
        _edit("versions/000001/manifest.json", by="nobody"),
        "versions/000001/manifest.json: event 1 has a different SHA-256",
    ),
    "another version deleted": (
        lambda path: shutil.rmtree(path / "versions/000003"),
        "versions/000003: it was once current, but has no manifest.json",
    ),
}


@pytest.mark.parametrize(("attack", "words"), STRANGE.values(), ids=STRANGE)
def test_every_entry_of_the_folder_is_looked_at(
    folder: Registry, tmp_path: Path, attack: Attack, words: str
):
    assert verify_version(folder, "clinic", None).problems == ()
    attack(tmp_path / "registry" / "clinic")
    problems = verify_version(folder, "clinic", None).problems
    assert [problem for problem in problems if re.search(words, problem)], problems


def test_a_forged_pointer_that_contradicts_no_event_is_made_again(folder: Registry, tmp_path: Path):
    pointer = tmp_path / "registry/clinic/current.json"
    right = pointer.read_text()
    for forged in ('{"version": 1}', "[", right.replace('"version": 2', '"version": 1')):
        pointer.write_text(forged)
        folder.current("clinic")
        assert pointer.read_text() == right


def test_a_deleted_last_event_shows_by_its_version_where_the_pointer_is_gone_too(
    tmp_path: Path,
):
    registry = with_three_versions(open_registry(str(tmp_path / "registry")), tmp_path)
    _delete(_event(3), "current.json")(tmp_path / "registry/clinic")
    assert "version 3 has no event" in str(verify_version(registry, "clinic", None).problems)


@pytest.mark.parametrize("storage", ["folder", "memory"])
def test_a_digest_that_was_kept_elsewhere_shows_a_log_that_was_rewritten(
    storage: str, tmp_path: Path
):
    registry = with_three_versions(empty_registry(storage, tmp_path), tmp_path)
    verification = verify_version(registry, "clinic", None)
    assert (verification.problems, verification.events) == ((), 3)
    event = roll_back(registry, "clinic", 2, "R.", "slow")
    assert (
        event.before == verification.head == read_sound_log(registry.storage, "clinic").digests[2]
    )
    assert verify_version(registry, "clinic", None, verification.head).problems == ()
    other = with_three_versions(empty_registry(storage, tmp_path / "other"), tmp_path)
    (problem,) = verify_version(other, "clinic", None, event.before and "0" * 64).problems
    assert "the log was rewritten or shortened" in problem


def test_a_version_under_the_number_of_another_is_refused(folder: Registry, tmp_path: Path):
    versions = tmp_path / "registry/clinic/versions"
    shutil.rmtree(versions / "000002")
    shutil.copytree(versions / "000001", versions / "000002")
    with pytest.raises(PupilaError, match="000002 holds version 1 of 'clinic': it is a copy"):
        folder.current("clinic")


def test_a_link_beside_the_names_is_no_name(folder: Registry, tmp_path: Path):
    (tmp_path / "registry" / "alias").symlink_to("clinic")
    assert folder.names() == ["clinic"]
    with pytest.raises(PupilaError, match="alias is a link"):
        publish(folder, replace(release(tmp_path), name="alias"))


def test_an_artifact_with_a_fifo_is_refused_and_does_not_hang(folder: Registry, tmp_path: Path):
    copy = shutil.copytree(
        tmp_path / "registry/clinic/versions/000001/artifacts/int8", tmp_path / "a"
    )
    (copy / "model.tflite").unlink()
    os.mkfifo(copy / "model.tflite")
    assert verify_folder(copy).problems == ("model.tflite: it is a FIFO, and was not opened.",)


@pytest.mark.parametrize(
    "key", ["../../evil", "labels/../../evil", "/evil", "..", "a/b/../../../c"]
)
def test_an_object_whose_key_leads_elsewhere_is_not_taken_over(tmp_path: Path, key: str):
    registry = with_three_versions(empty_registry("memory", tmp_path), tmp_path)
    version = registry.version("clinic", 1)
    storage = registry.storage
    listed = storage.files("clinic/versions/000001/artifacts/int8")
    storage.files = lambda folder: listed | {key: 4}  # pyright: ignore - as object stores may
    with pytest.raises(PupilaError, match="leads out of its folder"):
        registry.fetch(version, "int8", Store(tmp_path / "store"))
    assert not list(tmp_path.rglob("evil*"))
    assert "3" in published_text(registry, 3, "card.md")


def test_the_digests_are_printed_and_asked_for(
    folder: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)

    def verify(*arguments: str) -> typer.testing.Result:
        command = ["verify", *arguments, "--registry", "registry"]
        return typer.testing.CliRunner().invoke(app, command)

    head = folder.storage.digest("clinic/events/000004.json")
    assert f"SHA-256 of the last of 4 events: {head}" in verify("clinic").stdout
    assert verify("clinic", "--head", head.upper()).exit_code == 0
    wrong = verify("clinic", "--head", "0" * 64)
    assert (wrong.exit_code, "rewritten or shortened" in wrong.stdout) == (1, True)
    with pytest.raises(PupilaError, match="--head is '12', and a SHA-256 has 64 digits"):
        raise verify("clinic", "--head", "12").exception or AssertionError
    with pytest.raises(PupilaError, match="--head compares with the events of a name"):
        raise verify("./registry", "--head", head).exception or AssertionError
