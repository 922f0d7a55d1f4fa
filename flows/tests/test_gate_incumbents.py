"""What is published now, as the gate compares with it."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from publishable_runs import release, with_three_versions

from pupila import PupilaError
from pupila.store import Store
from pupila.testing import draw_images
from pupila_flows.data.reading import read_data
from pupila_flows.jobs import evaluate
from pupila_flows.jobs.evaluate import Evaluate
from pupila_flows.plan.reading import read_plan
from pupila_flows.recipe.gate import GateSection, Margins
from pupila_flows.registry import open_registry
from pupila_flows.registry.publishing import publish
from pupila_flows.registry.rollback import roll_back
from pupila_flows.run.context import Run
from pupila_flows.run.incumbents import Incumbents, check_anchor
from pupila_flows.run.recall import Recall
from pupila_flows.workspace import Workspace


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run that publishes as `clinic`; nothing of it was made."""
    images = draw_images(tmp_path / "images", images=2)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "name: clinic\ndata: {path: images}\n"
        "steps: {int8: {use: train, with: {student: conv-32-64-8}}}\n"
        "gate: {}\npublish: {to: registry}\n"
    )
    workspace = Workspace.at(tmp_path / "empty")
    dataset = read_data(images, None, workspace.cache)
    return Run(read_plan(recipe), workspace, dataset, (), Recall(threads=1))


def test_what_is_published_is_neither_fetched_nor_evaluated_where_it_is_the_artifact_itself(
    run: Run, tmp_path: Path
):
    given = release(tmp_path)
    (int8,) = (entry for entry in given.result.entries if entry.name == "int8")
    assert Incumbents.of(run, GateSection()).of_entry(int8) == ()
    publish(open_registry(str(tmp_path / "registry")), given)
    incumbents = Incumbents.of(run, GateSection())
    (same,) = incumbents.of_entry(int8)
    assert (same.role, same.title) == ("published", "version 1")
    assert (same.same, same.artifact) == (True, None)
    assert not list((run.workspace.store.root / "objects").glob("*"))
    renamed = int8.model_copy(update={"name": "small"})
    (missing,) = incumbents.of_entry(renamed)
    assert (missing.same, missing.artifact, missing.names) == (False, None, ("int8",))
    assert replace(incumbents, named=("int8",)).of_entry(renamed) == ()
    lifted = Incumbents.of(run, GateSection(published=Margins()))
    assert lifted.version and (lifted.of_entry(int8), lifted.of_entry(renamed)) == ((), ())


def test_the_anchor_is_the_first_version_that_holds_the_name_and_was_not_left_for_good(
    run: Run, tmp_path: Path
):
    registry = with_three_versions(open_registry(str(tmp_path / "registry")), tmp_path)

    def anchor(setting: Literal["first", "none"] | int = "first", name: str = "int8") -> int | None:
        incumbents = Incumbents.of(run, GateSection(anchor=setting))
        assert incumbents.version
        version = incumbents.anchor_of(name, incumbents.version)
        return version.number if version else None

    assert [anchor(), anchor(2), anchor("none"), anchor(name="small")] == [1, 2, None, None]
    with pytest.raises(PupilaError, match=r"'clinic' has no version 9 .*: it has 1, 2, 3"):
        anchor(9)
    roll_back(registry, "clinic", 1, "me", "too slow")
    assert anchor() == 1
    roll_back(registry, "clinic", 3, "me", "the first one is worse still")
    assert anchor() == 2


def test_an_artifact_that_is_current_is_not_held_against_the_anchor_again(run: Run, tmp_path: Path):
    registry = with_three_versions(open_registry(str(tmp_path / "registry")), tmp_path)
    current = registry.current("clinic")
    (int8,) = (entry for entry in release(tmp_path).result.entries if entry.name == "int8")
    assert current
    unchanged = int8.model_copy(update={"artifact": current.artifacts["int8"]})
    (only,) = Incumbents.of(run, GateSection()).of_entry(unchanged)
    assert (only.role, only.same) == ("published", True)


def test_an_anchor_that_there_is_not_is_told_before_anything_is_made(run: Run):
    def asking(anchor: int | str) -> Run:
        gate = GateSection.model_validate({"anchor": anchor})
        recipe = run.plan.recipe.model_copy(update={"gate": gate})
        return replace(run, plan=replace(run.plan, recipe=recipe))

    check_anchor(asking("first"))
    with pytest.raises(PupilaError, match=r"`gate.anchor` is 3\. Nothing named 'clinic' was publ"):
        check_anchor(asking(3))


def test_what_the_store_holds_already_is_not_fetched_again(tmp_path: Path):
    given, registry = release(tmp_path), open_registry(str(tmp_path / "registry"))
    publish(registry, given)
    version = registry.current("clinic")
    assert version
    shutil.rmtree(tmp_path / "registry" / "clinic" / "versions" / "000001" / "artifacts")
    store = Workspace.at(tmp_path / ".pupila").store
    assert registry.fetch(version, "int8", store).digest == version.artifacts["int8"]
    with pytest.raises(PupilaError):
        registry.fetch(version, "int8", Store(tmp_path / "another"))


def test_an_evaluation_belongs_to_the_processor_that_it_was_timed_on(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    artifact = release(tmp_path).artifacts["int8"]

    def key() -> str:
        section = run.plan.recipe.evaluate
        return Evaluate.of(run.workspace, "int8", artifact, run.dataset, run.positive, section).key

    here = key()
    assert key() == here
    monkeypatch.setattr(evaluate, "cpu_name", lambda: "another")
    another = key()
    monkeypatch.setattr(os, "cpu_count", lambda: 1024)
    assert len({here, another, key()}) == 3
