"""Evaluation on images of another site: metrics with labels, fidelity without."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pupila.dataset import UNLABELLED, Dataset
from pupila.external import DISAGREEMENTS_KEPT, ExternalEvaluation, evaluate_external
from pupila.predictions import Predictions
from pupila.store import Store
from pupila.testing import colour_dataset, colour_teacher

pytestmark = pytest.mark.slow


def _ignore(done: int, total: int, what: str) -> None:
    """Ignore progress."""


def test_metrics_groups_and_disagreements_with_and_without_labels(tmp_path: Path):
    store = Store(tmp_path / "store")
    teacher, pupil = colour_teacher(store), colour_teacher(store, slope=0.5, bias=1.5)
    data = colour_dataset(tmp_path)
    frame = data.select("test").frame.copy()
    frame["patient"] = [str(row // 2) for row in range(len(frame))]
    frame["site"] = ["north", "south", ""] * (len(frame) // 3)
    for colour in ("mean_red", "mean_green", "mean_blue"):
        frame[colour] = np.arange(len(frame), dtype=np.float32)
    there = Dataset(frame, data.classes, data.cache)
    without = frame.copy()
    without["split"], without["label"] = UNLABELLED, ""
    bare = Dataset(without, data.classes, data.cache)

    def evaluate(images: Dataset, validation: Dataset | None = None) -> ExternalEvaluation:
        return evaluate_external(
            pupil,
            images,
            positive="red",
            specificity=0.85,
            predictions=Predictions(tmp_path / "predictions"),
            progress=_ignore,
            reference=("big", teacher),
            groups=("site",),
            validation=validation,
        )

    labelled = evaluate(there, validation=data.select("validation"))
    metrics = labelled.figures.metrics
    assert metrics and metrics.point and metrics.point.chosen_on == "validation"
    assert metrics.patients == len(frame) // 2
    assert labelled.chance and labelled.chance.above
    assert set(labelled.groups["site"]) == {"north", "south"}
    assert labelled.groups["site"]["north"].images == len(frame) // 3
    assert [len(np.load(labelled.probabilities))] == [len(frame)]
    fidelity = labelled.figures.fidelity
    assert fidelity and fidelity.correlation.value > 0.9
    assert "by patient" in fidelity.correlation.method
    assert fidelity.mean_difference.value > 0  # it leans to red
    unlabelled = evaluate(bare)
    assert unlabelled.figures.fidelity == fidelity
    assert (unlabelled.figures.metrics, unlabelled.chance) == (None, None)
    pairs = [(image.probability, image.other_probability) for image in unlabelled.disagreements]
    apart = [abs(ours - theirs) for ours, theirs in pairs if ours is not None and theirs]
    assert len(apart) == min(DISAGREEMENTS_KEPT, len(frame)) and max(apart) > 0.1
    assert {image.truth for image in unlabelled.disagreements} == {None}
    assert labelled.disagreements[0].truth in data.classes
