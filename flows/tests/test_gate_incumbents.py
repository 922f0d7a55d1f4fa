"""What is published now, as the gate compares with it."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from publishable_runs import release

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
from pupila_flows.run.context import Run
from pupila_flows.run.incumbents import Incumbents
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
    place = Workspace.at(tmp_path / "empty")
    return Run(read_plan(recipe), place, read_data(images, None, place.cache), ())


def test_what_is_published_is_neither_fetched_nor_judged_where_it_is_the_artifact_itself(
    run: Run, tmp_path: Path
):
    given = release(tmp_path)
    (int8,) = (each for each in given.result.entries if each.name == "int8")
    assert Incumbents.of(run, GateSection()).standing(int8) is None
    publish(open_registry(str(tmp_path / "registry")), given)
    incumbents = Incumbents.of(run, GateSection())
    assert incumbents.standing(int8) == "same"
    assert incumbents.of_entry(int8) is None
    assert not list((run.workspace.store.root / "objects").glob("*"))
    assert incumbents.standing(int8.model_copy(update={"artifact": "another"})) is None
    renamed = int8.model_copy(update={"name": "small"})
    assert (incumbents.standing(renamed), incumbents.of_entry(renamed)) == ("missing", None)
    assert replace(incumbents, named=("int8",)).standing(renamed) is None
    lifted = Incumbents.of(run, GateSection(published=Margins()))
    assert lifted.version and (lifted.standing(int8), lifted.standing(renamed)) == (None, None)


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


def test_a_judgement_belongs_to_the_processor_that_it_was_timed_on(
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
