"""What is published is whole, proven and found again; what the gate did not pass is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from publishable_runs import (
    empty_registry,
    gate_of,
    publishable_run,
    published_text,
    read_run,
    release,
)

from pupila.errors import PupilaError
from pupila.store import Store, read_artifact
from pupila_flows.recipe.publish import PublishSection
from pupila_flows.registry import Registry, open_registry
from pupila_flows.registry.manifest import CARD
from pupila_flows.registry.publishing import publish
from pupila_flows.registry.release import Withheld, release_of
from pupila_flows.registry.verify import verify_version
from pupila_flows.results import Verdict
from pupila_flows.workspace import Workspace


@pytest.fixture(params=["folder", "memory"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Registry:
    return empty_registry(request.param, tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Registry:
    return open_registry(str(tmp_path / "registry"))


def test_where_nothing_was_published_nothing_is_current(registry: Registry):
    assert registry.current("clinic") is None
    assert registry.names() == []


def test_a_published_version_is_current_whole_and_holds_whole_artifacts(
    registry: Registry, tmp_path: Path
):
    given = release(tmp_path)
    publication = publish(registry, given)
    version = registry.current("clinic")
    assert version
    assert (publication.outcome, publication.version, version.number) == ("published", 1, 1)
    assert version.artifacts == {"int8": given.artifacts["int8"].digest}
    assert [link.entry for link in version.manifest.chain.values()] == ["int8", "pupil", "vgg16"]
    verification = verify_version(registry, "clinic", None)
    assert verification.problems == ()
    assert verification.files == 9, "artifact.json and two files, two cards, result, recipe, report"
    fetched = registry.fetch(version, "int8", Store(tmp_path / "another"))
    assert fetched.digest == version.artifacts["int8"]


def test_a_published_folder_is_an_artifact_that_a_recipe_can_name(folder: Registry, tmp_path: Path):
    given = release(tmp_path)
    publish(folder, given)
    artifact = Path(folder.location("clinic", 1)) / "artifacts" / "int8"
    assert read_artifact(artifact).digest == given.artifacts["int8"].digest


def test_the_same_artifacts_once_more_make_no_version(registry: Registry, tmp_path: Path):
    publish(registry, release(tmp_path))
    publication = publish(registry, release(tmp_path, published=registry.current("clinic")))
    assert (publication.outcome, publication.version) == ("unchanged", 1)
    assert registry.numbers("clinic") == [1]
    assert len(registry.events("clinic")) == 1


def test_what_the_gate_did_not_compare_with_what_is_current_is_withheld(
    registry: Registry, tmp_path: Path
):
    publish(registry, release(tmp_path))
    publication = publish(registry, release(tmp_path, b"second"))
    assert (publication.outcome, publication.version) == ("withheld", None)
    assert (
        "compared with nothing, and version 1 is current now: run the recipe again"
        in publication.reason
    )
    assert registry.numbers("clinic") == [1]


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        ("fail", r"the gate says fail \(int8: fail\)"),
        ("inconclusive", r"the gate says inconclusive \(int8: inconclusive\)"),
        (None, "the recipe has no gate"),
    ],
)
def test_what_did_not_pass_is_not_published(tmp_path: Path, verdict: Verdict | None, words: str):
    with pytest.raises(Withheld, match=f"Nothing is published: {words}"):
        release(tmp_path, verdict=verdict)


def test_where_the_gate_could_not_be_asked_nothing_is_published(tmp_path: Path):
    run = publishable_run(tmp_path)
    unasked = read_run(run).model_copy(update={"gate": None})
    with pytest.raises(Withheld, match="Nothing is published: the gate could not be evaluated"):
        release_of(unasked, run, PublishSection(), Workspace.at(tmp_path / ".pupila").store)


def test_what_the_gate_did_not_check_is_not_published(tmp_path: Path):
    with pytest.raises(Withheld, match="names 'pupil', which the gate did not check"):
        release(tmp_path, section=PublishSection(artifacts=("pupil",)))


def test_what_answers_nothing_itself_is_published_with_what_it_is_made_of(tmp_path: Path):
    run = publishable_run(tmp_path)
    result = read_run(run)
    *others, last = result.entries
    changes = {"name": "site", "uses": "site", "inputs": ("int8",), "evaluation": None}
    site = last.model_copy(update=changes)
    result = result.model_copy(update={"entries": (*others, last, site)})
    section = PublishSection(artifacts=("site",))
    store = Workspace.at(tmp_path / ".pupila").store
    assert list(release_of(result, run, section, store).artifacts) == ["site"]
    broken = site.model_copy(update={"error": "the page does not open"})
    spoilt = result.model_copy(update={"entries": (*others, last, broken)})
    with pytest.raises(Withheld, match="'site' cannot be published: the page does not open"):
        release_of(spoilt, run, section, store)
    failed = result.model_copy(update={"gate": gate_of("pass", entry="vgg16")})
    with pytest.raises(Withheld, match="names 'site', which the gate did not check"):
        release_of(failed, run, section, store)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"error": "it crashed."}, "'small' cannot be published: it crashed"),
        (
            {"not_evaluated": "tells other classes apart"},
            "'small' cannot be published: tells other classes",
        ),
        ({}, "names 'small', which the gate did not check"),
    ],
)
def test_what_should_have_been_evaluated_and_was_not_is_not_published(
    tmp_path: Path, changes: dict[str, str], words: str
):
    run = publishable_run(tmp_path)
    result = read_run(run)
    made_of = {"name": "small", "inputs": ("int8",), "evaluation": None}
    small = result.entries[-1].model_copy(update=made_of | changes)
    result = result.model_copy(update={"entries": (*result.entries, small)})
    section = PublishSection(artifacts=("int8", "small"))
    with pytest.raises(Withheld, match=words):
        release_of(result, run, section, Workspace.at(tmp_path / ".pupila").store)


def test_a_run_without_its_report_is_published_only_by_an_override(
    registry: Registry, tmp_path: Path
):
    run, store = publishable_run(tmp_path), Workspace.at(tmp_path / ".pupila").store
    (run / "report.html").unlink()
    with pytest.raises(Withheld, match="Nothing is published: the run has no report"):
        release_of(read_run(run), run, PublishSection(), store)
    signed = release_of(read_run(run), run, PublishSection(), store, ("R.", "seen by hand"))
    assert publish(registry, signed).outcome == "published"


def test_what_was_compared_with_the_same_number_of_another_registry_is_withheld(
    registry: Registry, tmp_path: Path
):
    publish(registry, release(tmp_path))
    staging = open_registry(str(tmp_path / "staging"))
    publish(staging, release(tmp_path, b"other"))
    publication = publish(
        registry, release(tmp_path, b"second", published=staging.current("clinic"))
    )
    assert publication.outcome == "withheld"
    assert "compared with another version 1 than is current here" in publication.reason


def test_an_override_is_signed_in_the_card_of_every_version_from_then_on(
    registry: Registry, tmp_path: Path
):
    signed = ("R. Responsible", "Read side by side by two readers: no finding was lost.")
    publication = publish(registry, release(tmp_path, verdict="inconclusive", override=signed))
    assert (publication.outcome, publication.overridden_by) == ("published", "R. Responsible")
    publish(registry, release(tmp_path, b"second", published=registry.current("clinic")))
    assert registry.events("clinic")[0].override == registry.version("clinic", 1).manifest.override
    assert registry.version("clinic", 2).manifest.override is None
    for number in (1, 2):
        card = published_text(registry, number, CARD)
        assert f"| 1 | {signed[0]} | inconclusive | {signed[1]} |" in card
    assert "Published by an override of R. Responsible" in published_text(registry, 1, CARD)
    assert "Published by an override" not in published_text(registry, 2, CARD)


def test_without_a_gate_an_override_publishes_the_ends_of_the_graph(
    registry: Registry, tmp_path: Path
):
    given = release(tmp_path, verdict=None, override=("R.", "no gate"), section=PublishSection())
    assert list(given.artifacts) == ["int8"]
    publish(registry, given)
    assert "The recipe had no gate" in published_text(registry, 1, CARD)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("s4://bucket/models", "the protocol 's4', which fsspec does not know"),
        ("dropbox://models", "needs the package dropboxdrivefs: `pip install"),
    ],
)
def test_a_registry_that_cannot_be_opened_is_refused(address: str, words: str):
    with pytest.raises(PupilaError, match=words):
        open_registry(address)
