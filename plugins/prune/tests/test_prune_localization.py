"""A student that ends in a heat map is pruned and retrained on labels and on its own answers."""

from __future__ import annotations

from typing import Any

import pytest

from pupila import keras_files
from pupila.testing import DiscSteps
from pupila_prune.kernels import sparsity

pytestmark = pytest.mark.slow

QUICK = {"epochs": 2, "batch_size": 6, "budget": 0.2, "augmentation": {"views": 1}}


@pytest.fixture(scope="module")
def discs(tmp_path_factory: pytest.TempPathFactory) -> DiscSteps:
    return DiscSteps(tmp_path_factory.mktemp("discs"))


@pytest.mark.long
@pytest.mark.parametrize(
    ("step", "settings", "shift"),
    [
        ("prune-filters", {"sparsity": 0.3, "rounds": 1}, 2.0),
        ("prune-magnitude", {"sparsity": 0.5, "rounds": 1}, 2.0),
        ("prune-synflow", {"sparsity": 0.15, "rounds": 1}, 2.0),
        ("cluster", {"clusters": 16}, 2.0),
    ],
)
def test_a_pruned_student_still_finds_discs(
    discs: DiscSteps, step: str, settings: dict[str, Any], shift: float
):
    made = discs.run(step, **QUICK, **settings)
    record, measured = made.artifact.record, made.result.measured
    assert record.output == discs.student.record.output
    assert 0 < discs.shift(made.artifact) < shift
    assert measured["budget_met"]
    model: Any = keras_files.load(made.artifact)
    assert len(model.outputs) == 1
    if step == "prune-filters":
        assert (record.parameters or 0) < 0.75 * (discs.student.record.parameters or 0)
    elif step != "cluster":
        assert sparsity(model) == pytest.approx(settings["sparsity"], abs=0.02)


def test_rounds_may_be_chosen_by_fidelity(discs: DiscSteps):
    settings = QUICK | {"sparsity": 0.2, "rounds": 1, "choose_by": "fidelity"}
    made = discs.run("prune-filters", **settings, saliency="magnitude")
    assert made.result.measured["validation_fidelity"] > 0.8
