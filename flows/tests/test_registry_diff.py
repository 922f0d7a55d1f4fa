"""What differs between two versions."""

from __future__ import annotations

from pathlib import Path

import pytest
from publishable_runs import INT8, empty_registry, publishable_run, read_run, with_three_versions

from pupila_flows.recipe.publish import PublishSection
from pupila_flows.registry import Registry
from pupila_flows.registry.diff import diff
from pupila_flows.registry.publishing import publish
from pupila_flows.registry.release import release_of
from pupila_flows.results import RunResult
from pupila_flows.workspace import Workspace


@pytest.fixture(params=["folder", "memory"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Registry:
    return empty_registry(request.param, tmp_path)


@pytest.fixture
def three(registry: Registry, tmp_path: Path) -> Registry:
    return with_three_versions(registry, tmp_path)


def test_a_difference_tells_recipe_digests_and_figures(three: Registry, tmp_path: Path):
    difference = diff(three, "clinic", 1, 2)
    assert difference.recipe == ()
    assert [change.what for change in difference.changes] == ["artifact int8"]
    run = publishable_run(tmp_path, b"fourth", published=three.current("clinic"))
    result = _changed(read_run(run))
    store = Workspace.at(tmp_path / ".pupila").store
    publish(three, release_of(result, run, PublishSection(artifacts=("int8",)), store))
    difference = diff(three, "clinic", 3, 4)
    changes = {change.what: (change.before, change.after) for change in difference.changes}
    assert [str(change) for change in difference.recipe] == ["seed: — → 8"]
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
