"""A registry of versions: what is published is whole, proven, and found again."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from PIL import Image
from publishable_runs import INT8, gate_of, publishable_run, read_run, release

from pupila.errors import PupilaError
from pupila.metrics import proportion
from pupila.store import Store, read_artifact
from pupila_flows.recipe.publish import PublishSection
from pupila_flows.registry import Registry, Version, open_registry
from pupila_flows.registry.diff import diff
from pupila_flows.registry.events import Event
from pupila_flows.registry.manifest import CARD, CARD_PAGE, MANIFEST, REPORT, RESULT
from pupila_flows.registry.publishing import Release, publish
from pupila_flows.registry.release import Withheld, release_of
from pupila_flows.registry.rollback import roll_back
from pupila_flows.registry.verify import verify_folder, verify_version
from pupila_flows.report import write_report
from pupila_flows.results import Check, Entry, RunResult, Verdict
from pupila_flows.workspace import Workspace


@pytest.fixture(params=["folder", "memory"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Registry:
    """An empty registry: in a folder, and in a file system that writes as object stores do."""
    memory = f"memory://{uuid4().hex}/models"
    return open_registry(memory if request.param == "memory" else str(tmp_path / "registry"))


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
    told = publish(registry, given)
    version = registry.current("clinic")
    assert version
    assert (told.outcome, told.version, version.number) == ("published", 1, 1)
    assert version.artifacts == {"int8": given.artifacts["int8"].digest}
    assert [link.entry for link in version.manifest.chain.values()] == ["int8", "pupil", "vgg16"]
    found = verify_version(registry, "clinic", None)
    assert found.problems == ()
    assert found.files == 9, "artifact.json and two files, two cards, result, recipe, report"
    fetched = registry.fetch(version, "int8", Store(tmp_path / "another"))
    assert fetched.digest == version.artifacts["int8"]


def test_a_published_folder_is_an_artifact_that_a_recipe_can_name(folder: Registry, tmp_path: Path):
    given = release(tmp_path)
    publish(folder, given)
    place = Path(folder.place("clinic", 1)) / "artifacts" / "int8"
    assert read_artifact(place).digest == given.artifacts["int8"].digest


def test_the_same_artifacts_once_more_make_no_version(registry: Registry, tmp_path: Path):
    publish(registry, release(tmp_path))
    told = publish(registry, release(tmp_path, published=registry.current("clinic")))
    assert (told.outcome, told.version) == ("unchanged", 1)
    assert registry.numbers("clinic") == [1]
    assert len(registry.events("clinic")) == 1


def test_what_the_gate_did_not_compare_with_what_is_current_is_withheld(
    registry: Registry, tmp_path: Path
):
    publish(registry, release(tmp_path))
    told = publish(registry, release(tmp_path, b"second"))
    assert (told.outcome, told.version) == ("withheld", None)
    assert (
        "compared with nothing, and version 1 is current now: run the recipe again" in told.reason
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
    with pytest.raises(Withheld, match="Nothing is published: the gate could not be asked"):
        release_of(unasked, run, PublishSection(), Workspace.at(tmp_path / ".pupila").store)


def test_what_the_gate_did_not_judge_is_not_published(tmp_path: Path):
    with pytest.raises(Withheld, match="names 'pupil', which the gate did not judge"):
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
    with pytest.raises(Withheld, match="'site' did not come out well: the page does not open"):
        release_of(spoilt, run, section, store)
    failed = result.model_copy(update={"gate": gate_of("pass", entry="vgg16")})
    with pytest.raises(Withheld, match="names 'site', which the gate did not judge"):
        release_of(failed, run, section, store)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"error": "it crashed."}, "'small' did not come out well: it crashed"),
        ({"unjudged": "tells other classes apart"}, "'small' did not .*: tells other classes"),
        ({}, "names 'small', which the gate did not judge"),
    ],
)
def test_what_should_have_been_judged_and_was_not_is_not_published(
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
    with pytest.raises(Withheld, match="Nothing is published: the report of the run was not drawn"):
        release_of(read_run(run), run, PublishSection(), store)
    signed = release_of(read_run(run), run, PublishSection(), store, ("R.", "seen by hand"))
    assert publish(registry, signed).outcome == "published"


def test_what_was_compared_with_the_same_number_of_another_registry_is_withheld(
    registry: Registry, tmp_path: Path
):
    publish(registry, release(tmp_path))
    staging = open_registry(str(tmp_path / "staging"))
    publish(staging, release(tmp_path, b"other"))
    told = publish(registry, release(tmp_path, b"second", published=staging.current("clinic")))
    assert told.outcome == "withheld"
    assert "compared with another version 1 than is current here" in told.reason


def test_an_override_is_signed_in_the_card_of_every_version_from_then_on(
    registry: Registry, tmp_path: Path
):
    signed = ("R. Responsible", "Read side by side by two readers: no finding was lost.")
    told = publish(registry, release(tmp_path, verdict="inconclusive", override=signed))
    assert (told.outcome, told.overridden_by) == ("published", "R. Responsible")
    publish(registry, release(tmp_path, b"second", published=registry.current("clinic")))
    assert registry.events("clinic")[0].override == registry.version("clinic", 1).manifest.override
    assert registry.version("clinic", 2).manifest.override is None
    for number in (1, 2):
        card = _read(registry, number, CARD)
        assert f"| 1 | {signed[0]} | inconclusive | {signed[1]} |" in card
    assert "Published by an override of R. Responsible" in _read(registry, 1, CARD)
    assert "Published by an override" not in _read(registry, 2, CARD)


def test_without_a_gate_an_override_publishes_the_ends_of_the_graph(
    registry: Registry, tmp_path: Path
):
    given = release(tmp_path, verdict=None, override=("R.", "no gate"), section=PublishSection())
    assert list(given.artifacts) == ["int8"]
    publish(registry, given)
    assert "The recipe had no gate" in _read(registry, 1, CARD)


@pytest.fixture
def three(registry: Registry, tmp_path: Path) -> Registry:
    """A registry with three versions."""
    for number, weights in enumerate((b"first", b"second", b"third")):
        before = registry.current("clinic")
        assert publish(registry, release(tmp_path, weights, published=before)).version == number + 1
    return registry


def test_a_rollback_goes_to_the_version_before_and_the_next_one_further(three: Registry):
    assert roll_back(three, "clinic", None, "me", "too slow").version == 2
    assert roll_back(three, "clinic", None, "me", "too slow as well").version == 1
    current = three.current("clinic")
    assert current and current.number == 1
    with pytest.raises(PupilaError, match="is the first: there is none to go back to"):
        roll_back(three, "clinic", None, "me", "further")
    assert roll_back(three, "clinic", 3, "me", "it was the network").version == 3
    kinds = [(event.kind, event.version, event.previous) for event in three.events("clinic")]
    assert kinds[3:] == [("rollback", 2, 3), ("rollback", 1, 2), ("rollback", 3, 1)]


@pytest.mark.parametrize(
    ("name", "to", "words"),
    [
        ("clinic", 3, "Version 3 of 'clinic' is current already"),
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
    told = publish(three, release(tmp_path, b"third", published=second))
    assert told.outcome == "withheld"
    why = "version 3 held this very int8, and me rolled back from it (it warned of nothing)"
    assert why in told.reason
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
    told = publish(pair, release(tmp_path, b"bad", published=current))
    assert told.outcome == "withheld"
    assert "version 2 held this very int8, and me rolled back" in told.reason
    assert publish(pair, _two(tmp_path, b"good", current)).outcome == "published"


def test_a_withdrawn_version_that_somebody_removed_is_in_nobodys_way(tmp_path: Path):
    registry = open_registry(str(tmp_path / "registry"))
    publish(registry, release(tmp_path))
    publish(registry, release(tmp_path, b"second", published=registry.current("clinic")))
    roll_back(registry, "clinic", None, "me", "because")
    shutil.rmtree(registry.place("clinic", 2))
    told = publish(registry, release(tmp_path, b"third", published=registry.current("clinic")))
    assert (told.outcome, told.version) == ("published", 3)


def test_what_never_was_current_is_not_rolled_back_to(three: Registry, tmp_path: Path):
    given = release(tmp_path, b"late", published=three.current("clinic"))
    late = publish(_Overtaken(three, tmp_path), given)
    assert late.outcome == "withheld" and three.numbers("clinic") == [1, 2, 3, 4, 5]
    with pytest.raises(PupilaError, match=r"Version 4 .* never was current: .* 1, 2, 3, 5"):
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
    (Path(folder.place("clinic", 1)) / "artifacts/int8/model.tflite").write_bytes(b"fIrst")
    with pytest.raises(PupilaError, match=r"model\.tflite: it was altered"):
        roll_back(folder, "clinic", None, "me", "because")
    current = folder.current("clinic")
    assert current and current.number == 2


def test_the_pointer_for_web_servers_follows_and_is_mended_when_read(three: Registry):
    assert _pointer(three) == {"version": 3, "path": "versions/000003", "event": 3}
    three.storage.replace("clinic/current.json", b'{"version": 2, "event": 2}')
    three.current("clinic")
    assert _pointer(three)["version"] == 3


def test_a_difference_tells_recipe_digests_and_figures(three: Registry, tmp_path: Path):
    found = diff(three, "clinic", 1, 2)
    assert found.recipe == ()
    assert [change.what for change in found.changes] == ["artifact int8"]
    run = publishable_run(tmp_path, b"fourth", published=three.current("clinic"))
    result = _changed(read_run(run))
    store = Workspace.at(tmp_path / ".pupila").store
    publish(three, release_of(result, run, PublishSection(artifacts=("int8",)), store))
    found = diff(three, "clinic", 3, 4)
    changes = {change.what: (change.before, change.after) for change in found.changes}
    assert "+seed: 8" in found.recipe
    assert changes["seed"] == ("7", "8")
    assert changes["images test/normal"][1] == "1000"
    assert changes["int8: bytes"] == (str(INT8.size_bytes), "5")
    assert changes["artifact int8"][0] == three.version("clinic", 3).artifacts["int8"]
    assert set(changes) >= {"data fingerprint", "int8: MB"}
    assert "teacher vgg16" not in changes


def _changed(result: RunResult) -> RunResult:
    data = result.data
    counts = data.counts | {"test": data.counts["test"] | {"normal": 1000}}
    *others, last = result.entries
    assert last.evaluation
    cost = last.evaluation.cost.model_copy(update={"size_bytes": 5})
    evaluation = last.evaluation.model_copy(update={"cost": cost})
    return result.model_copy(
        update={
            "seed": 8,
            "recipe_text": f"{result.recipe_text}seed: 8\n",
            "data": data.model_copy(update={"counts": counts, "fingerprint": "0" * 64}),
            "entries": (*others, last.model_copy(update={"evaluation": evaluation})),
        }
    )


Alteration = Callable[[Path], object]


def _overwrite(text: bytes) -> Alteration:
    return lambda path: path.write_bytes(text)


def _edit(change: Callable[[dict[str, Any]], None]) -> Alteration:
    def edit(path: Path) -> None:
        value = json.loads(path.read_text())
        change(value)
        path.write_text(json.dumps(value))

    return edit


def _lose_all(manifest: dict[str, Any]) -> None:
    manifest["chain"].clear()


def _rename_publisher(manifest: dict[str, Any]) -> None:
    manifest["by"] = "nobody"


def _lose_teacher(manifest: dict[str, Any]) -> None:
    chain = manifest["chain"]
    chain.pop(next(key for key, link in chain.items() if link["kind"] == "teacher"))


def _claim_seed(manifest: dict[str, Any]) -> None:
    link = next(link for link in manifest["chain"].values() if link["entry"] == "pupil")
    link["record"]["origin"]["seed"] = 99


@pytest.mark.parametrize(
    ("file", "change", "words"),
    [
        ("artifacts/int8/model.tflite", _overwrite(b"fIrst"), "model.tflite: it was altered"),
        ("artifacts/int8/model.tflite", _overwrite(b"longer"), "it has 6 bytes, and 5 were"),
        ("artifacts/int8/artifact.json", _overwrite(b"{}"), "artifact.json: it has 2 bytes"),
        ("card.md", Path.unlink, "card.md: it is missing"),
        ("artifacts/int8/more.bin", _overwrite(b"more"), "more.bin: it is not in the manifest"),
        (MANIFEST, _edit(_lose_teacher), "'pupil' was made from .*: the chain is broken"),
        (MANIFEST, _edit(_claim_seed), "the record of 'pupil' has another digest"),
        (MANIFEST, _edit(_rename_publisher), "not the one that was made"),
        (MANIFEST, _edit(_lose_all), "'int8', .*, is not described"),
    ],
)
def test_whatever_was_altered_is_told(
    folder: Registry, tmp_path: Path, file: str, change: Alteration, words: str
):
    publish(folder, release(tmp_path))
    place = Path(folder.place("clinic", 1))
    assert verify_folder(place).problems == ()
    change(place / file)
    problems = verify_version(folder, "clinic", 1).problems
    assert [each for each in problems if re.search(words, each)], problems


def test_a_version_that_was_copied_elsewhere_is_checked_there(folder: Registry, tmp_path: Path):
    publish(folder, release(tmp_path))
    copy = shutil.copytree(folder.place("clinic", 1), tmp_path / "stick")
    assert verify_folder(copy).problems == ()
    assert verify_folder(copy / "artifacts" / "int8").problems == ()
    (copy / "artifacts" / "int8" / "more").touch()
    assert verify_folder(copy / "artifacts" / "int8").problems == (
        "more: it is not in artifact.json.",
    )
    with pytest.raises(PupilaError, match="is neither a published version nor an artifact"):
        verify_folder(tmp_path)


def test_no_path_of_this_machine_is_published(folder: Registry, tmp_path: Path):
    here = tmp_path / "Dr. O'Hara & Söhne"
    given = _well_travelled(here)
    publish(folder, given)
    version = Path(folder.place("clinic", 1))
    texts = {name: _read(folder, 1, name) for name in (RESULT, CARD, CARD_PAGE, MANIFEST, REPORT)}
    hidden = (str(tmp_path), "Hara", "S%C3%B6hne", "elsewhere")
    assert [(name, each) for name, text in texts.items() for each in hidden if each in text] == []
    assert verify_folder(version).problems == ()
    told = RunResult.model_validate_json(texts[RESULT])
    assert (told.data.path, told.recipe_path) == ("images", "recipe.yaml")
    assert told.test_images[0] == "test/eye & lid 000.jpg"
    assert told.data.checks[-1].images == ("far.jpg", "test/eye & lid 000.jpg")
    assert told.data.checks[-1].found == "far.jpg, near 'other.jpg' (see s3://eyes/a/b)."
    assert told.gate and told.gate.artifacts[0].findings[0].images == ("test/eye & lid 001.jpg",)
    assert told.entries[-1].record == given.result.entries[-1].record
    assert "pupila run &#39;recipe.yaml&#39;" in texts[REPORT]
    assert 'title="test/eye &amp; lid' in texts[REPORT]


def _well_travelled(here: Path) -> Release:
    """Return a release whose run names images here and elsewhere, and its own folders."""
    run = publishable_run(here)
    result = read_run(run)
    images = [here / "images" / "test" / f"eye & lid {row:03d}.jpg" for row in range(107)]
    for image in images:
        image.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(image)
    near = Check(
        name="No image nearly repeats one of another split",
        severity="warning",
        passed=False,
        found="/srv/elsewhere/far.jpg, near '/srv/elsewhere/more/other.jpg' (see s3://eyes/a/b).",
        images=("/srv/elsewhere/far and wide/far.jpg", str(images[0])),
    )
    changes = {
        "path": str(here / "images"),
        "checks": (*result.data.checks, near),
        "data_docs": str(here / "docs" / "index.html"),
    }
    result = result.model_copy(
        update={
            "data": result.data.model_copy(update=changes),
            "test_images": tuple(map(str, images)),
            "gate": gate_of("pass", images=(str(images[1]),)),
            "entries": (_failing(result.entries[0], here), *result.entries[1:]),
        }
    )
    (run / "result.json").write_text(result.model_dump_json())
    for entry in result.entries:
        assert entry.evaluation
        kept = Path(entry.evaluation.probabilities)
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.save(kept, np.eye(2)[np.arange(107) % 2])
    write_report(result, run)
    store = Workspace.at(here / ".pupila").store
    return release_of(result, run, PublishSection(artifacts=("int8",)), store)


def _failing(entry: Entry, here: Path) -> Entry:
    return entry.model_copy(update={"error": f"{here / 'logs' / 'judge.log'!s} tells more"})


def test_the_card_says_what_a_reader_must_know(folder: Registry, tmp_path: Path):
    stated = PublishSection(
        artifacts=("int8",),
        intended_use="Sorting of images before a physician reads them.",
        limits="One camera.",
        licence="CC-BY-4.0",
    )
    publish(folder, release(tmp_path, section=stated))
    card = _read(folder, 1, CARD)
    told = (
        *("# clinic, version 1", "Sorting of images before", "* One camera.", "CC-BY-4.0"),
        *("Not stated by the publisher. Not for clinical use.", "### By site", "Verdict: **pass**"),
        "* A possible short cut: Mean colour alone separates the classes with AUC 0.90.\n",
        "accuracy is 1.0 points below that of vgg16",
        *("`vgg16`", "pupila verify clinic --version 1"),
    )
    assert [each for each in told if each not in card] == []


def test_the_card_gives_sensitivity_at_the_threshold_that_ships(folder: Registry, tmp_path: Path):
    given = release(tmp_path)
    entries = {entry.name: entry for entry in given.result.entries}
    judged = entries["int8"].evaluation
    assert judged and judged.metrics.point
    point = judged.metrics.point.model_copy(
        update={
            "threshold": 0.668,
            "chosen_on": "validation images, for 95 %",
            "sensitivity": proportion(57, 59),
        }
    )
    metrics = judged.metrics.model_copy(update={"shipped": point})
    evaluation = judged.model_copy(update={"metrics": metrics})
    entries["int8"] = entries["int8"].model_copy(update={"evaluation": evaluation})
    result = given.result.model_copy(update={"entries": tuple(entries.values())})
    publish(folder, replace(given, result=result))
    card = _read(folder, 1, CARD)
    assert "`int8` at the one that it ships, 0.668 (validation images, for 95 %)." in card
    assert "96.6" in card[card.index("## Figures") : card.index("## Gate")]


def test_the_card_as_a_page_shows_no_markup_of_others(folder: Registry, tmp_path: Path):
    hostile = ("<script>alert(1)</script>", "a | b")
    publish(folder, release(tmp_path, verdict="fail", override=hostile))
    page = _read(folder, 1, "card.html")
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<td>a | b</td>" in page


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


def _read(registry: Registry, number: int, file: str) -> str:
    content = registry.storage.read(f"clinic/versions/{number:06d}/{file}")
    assert content is not None
    return content.decode()


def _pointer(registry: Registry) -> dict[str, Any]:
    return json.loads(registry.storage.read("clinic/current.json") or b"{}")
