"""A version is rolled back from: which one is current then, and what may come back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from publishable_runs import (
    empty_registry,
    gate_of,
    publishable_run,
    read_run,
    release,
    with_three_versions,
)

from pupila.errors import PupilaError
from pupila_flows.recipe.publish import PublishSection
from pupila_flows.registry import Registry, Version, open_registry
from pupila_flows.registry.events import Event
from pupila_flows.registry.publishing import Release, publish
from pupila_flows.registry.release import release_of
from pupila_flows.registry.rollback import roll_back
from pupila_flows.workspace import Workspace


@pytest.fixture(params=["folder", "memory"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Registry:
    return empty_registry(request.param, tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Registry:
    return open_registry(str(tmp_path / "registry"))


@pytest.fixture
def three(registry: Registry, tmp_path: Path) -> Registry:
    return with_three_versions(registry, tmp_path)


def test_a_rollback_goes_to_the_version_before_and_the_next_one_further(three: Registry):
    assert roll_back(three, "clinic", None, "me", "too slow").version == 2
    assert roll_back(three, "clinic", None, "me", "too slow as well").version == 1
    current = three.current("clinic")
    assert current and current.number == 1
    with pytest.raises(PupilaError, match="is the first: it has no predecessor"):
        roll_back(three, "clinic", None, "me", "further")
    assert roll_back(three, "clinic", 3, "me", "it was the network").version == 3
    kinds = [(event.kind, event.version, event.previous) for event in three.events("clinic")]
    assert kinds[3:] == [("rollback", 2, 3), ("rollback", 1, 2), ("rollback", 3, 1)]


@pytest.mark.parametrize(
    ("name", "to", "words"),
    [
        ("clinic", 3, "Version 3 of 'clinic' is already current"),
        ("clinic", 9, "'clinic' has no version 9 in .*: it has 1, 2, 3"),
        ("clinic", 0, "'clinic' has no version 0 in .*: it has 1, 2, 3"),
        ("clinics", None, r"Nothing named 'clinics' was published .* Did you mean 'clinic'\?"),
    ],
)
def test_a_rollback_to_nowhere_is_refused(three: Registry, name: str, to: int | None, words: str):
    with pytest.raises(PupilaError, match=words):
        roll_back(three, name, to, "me", "because")


def test_what_was_rolled_back_from_comes_back_only_by_an_override(three: Registry, tmp_path: Path):
    roll_back(three, "clinic", None, "me", "it warned of nothing")
    second = three.current("clinic")
    publication = publish(three, release(tmp_path, b"third", published=second))
    assert publication.outcome == "withheld"
    why = "version 3 had the same int8, and me rolled back from it (it warned of nothing)"
    assert why in publication.reason
    signed = ("R.", "the warning was mended elsewhere")
    again = publish(three, release(tmp_path, b"third", published=second, override=signed))
    assert (again.outcome, again.version) == ("published", 4)


@pytest.fixture
def pair(registry: Registry, tmp_path: Path) -> Registry:
    """A registry whose second version, of two artifacts, was rolled back from."""
    publish(registry, _two(tmp_path, b"first", None))
    publish(registry, _two(tmp_path, b"bad", registry.current("clinic")))
    roll_back(registry, "clinic", None, "me", "too slow")
    return registry


def _two(folder: Path, weights: bytes, published: Version | None) -> Release:
    """Return a release of `int8`, which is of these bytes, and `pupil`, which never changes."""
    run = publishable_run(folder, weights, published=published)
    result, store = read_run(run), Workspace.at(folder / ".pupila").store
    gate = gate_of("pass", published)
    verdicts = (*gate.artifacts, gate.artifacts[0].model_copy(update={"entry": "pupil"}))
    result = result.model_copy(update={"gate": gate.model_copy(update={"artifacts": verdicts})})
    return release_of(result, run, PublishSection(), store)


def test_one_artifact_of_several_comes_back_by_an_override_only(pair: Registry, tmp_path: Path):
    current = pair.current("clinic")
    publication = publish(pair, release(tmp_path, b"bad", published=current))
    assert publication.outcome == "withheld"
    assert "version 2 had the same int8, and me rolled back" in publication.reason
    assert publish(pair, _two(tmp_path, b"good", current)).outcome == "published"


def test_a_withdrawn_version_that_somebody_removed_is_in_nobodys_way(tmp_path: Path):
    registry = open_registry(str(tmp_path / "registry"))
    publish(registry, release(tmp_path))
    publish(registry, release(tmp_path, b"second", published=registry.current("clinic")))
    roll_back(registry, "clinic", None, "me", "because")
    shutil.rmtree(registry.location("clinic", 2))
    publication = publish(
        registry, release(tmp_path, b"third", published=registry.current("clinic"))
    )
    assert (publication.outcome, publication.version) == ("published", 3)


def test_what_never_was_current_is_not_rolled_back_to(three: Registry, tmp_path: Path):
    given = release(tmp_path, b"late", published=three.current("clinic"))
    late = publish(_Overtaken(three, tmp_path), given)
    assert late.outcome == "withheld" and three.numbers("clinic") == [1, 2, 3, 4, 5]
    with pytest.raises(PupilaError, match=r"Version 4 .* was never current: .* 1, 2, 3, 5"):
        roll_back(three, "clinic", 4, "me", "because")
    assert roll_back(three, "clinic", 3, "me", "because").version == 3


class _Overtaken(Registry):
    """A registry in which another publishes while the first writes its files."""

    def __init__(self, registry: Registry, folder: Path) -> None:
        super().__init__(registry.storage)
        self._looks, self._folder = 0, folder

    def events(self, name: str) -> list[Event]:
        self._looks += 1
        if self._looks == 2:
            other = Registry(self.storage)
            publish(other, release(self._folder, b"other", published=other.current(name)))
        return super().events(name)


def test_a_version_that_was_altered_is_not_rolled_back_to(folder: Registry, tmp_path: Path):
    publish(folder, release(tmp_path))
    publish(folder, release(tmp_path, b"second", published=folder.current("clinic")))
    (Path(folder.location("clinic", 1)) / "artifacts/int8/model.tflite").write_bytes(b"fIrst")
    with pytest.raises(PupilaError, match=r"model\.tflite: it was altered"):
        roll_back(folder, "clinic", None, "me", "because")
    current = folder.current("clinic")
    assert current and current.number == 2


def test_the_pointer_for_web_servers_follows_and_is_mended_when_read(three: Registry):
    event = three.storage.digest("clinic/events/000003.json")
    current = {"version": 3, "path": "versions/000003", "event": 3, "sha256": event}
    assert _pointer(three) == current
    three.storage.replace("clinic/current.json", b'{"version": 2, "event": 2}')
    three.current("clinic")
    assert _pointer(three) == current


def _pointer(registry: Registry) -> dict[str, Any]:
    return json.loads(registry.storage.read("clinic/current.json") or b"{}")
