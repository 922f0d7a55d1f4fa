from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from pupila.artifact import Artifact, Origin, Record, Threshold
from pupila.dataset import Dataset
from pupila.errors import PupilaError
from pupila.evaluation import Evaluation, OpenSet
from pupila.openset import KEPT, OpenSetImages, evaluate_open_set
from pupila.predictions import Predictions
from pupila.spec import InputSpec, OutputSpec
from pupila.testing import ignore_progress

CLASSES = ("eye", "other")
EYES = [0.99, 0.98, 0.97, 0.96, 0.95, 0.94, 0.93, 0.92, 0.91, 0.55] * 2


@dataclass(frozen=True)
class PreparedPredictions(Predictions):
    """Answers each image with the probability in its file's name."""

    def of(self, artifact: Artifact, dataset: Dataset, progress: Any) -> NDArray[np.float32]:
        del artifact, progress
        eye = [float(path.stem.split("_")[0]) for path in dataset.paths]
        both = {"eye": eye, "other": [1 - probability for probability in eye]}
        return np.array([both[name] for name in dataset.classes], np.float32).T


def rows(
    probabilities: Sequence[float], label: str, split: str = "test", **columns: str
) -> list[dict[str, str]]:
    return [
        {
            "path": f"/{label}/{split}/{probability}_{number}.png",
            "label": label,
            "split": split,
            "sha256": f"{label}-{split}-{number}",
            **columns,
        }
        for number, probability in enumerate(probabilities)
    ]


def dataset(*parts: list[dict[str, str]], classes: tuple[str, ...] = CLASSES) -> Dataset:
    frame = pd.DataFrame([row for part in parts for row in part])
    return Dataset.of(frame, classes, Path("cache"))


DATA = dataset(
    rows([0.9] * 4, "eye", "train", source="disc"),
    rows([0.1] * 4, "other", "train", source="street"),
    rows(EYES[:10], "eye", source="disc"),
    [
        row | {"path": row["path"].replace("/eye", "/whole"), "sha256": row["sha256"] + "w"}
        for row in rows(EYES[10:], "eye", source="whole")
    ],
    rows([0.1, 0.2, 0.94], "other", source="street"),
    [
        row | {"path": row["path"].replace("/other", "/forest"), "sha256": row["sha256"] + "f"}
        for row in rows([0.6], "other", source="forest")
    ],
)


def filter_model(threshold: Threshold | None = None) -> Artifact:
    record = Record(
        format="prepared",
        files={},
        input=InputSpec(height=8, width=8),
        output=OutputSpec(kind="softmax", classes=CLASSES),
        origin=Origin(plugin="prepared", distribution="test", version="1"),
        threshold=threshold,
    )
    return Artifact(Path("nowhere"), "digest", record)


def evaluate(
    data: Dataset = DATA,
    near: Dataset | None = None,
    corrupted: Dataset | None = None,
    threshold: Threshold | None = None,
) -> OpenSet:
    return evaluate_open_set(
        filter_model(threshold),
        data,
        OpenSetImages("eye", near, corrupted),
        predictions=PreparedPredictions(Path("predictions")),
        progress=ignore_progress,
    )


def test_the_shipped_threshold_decides_and_one_half_where_none_is_shipped():
    shipped = evaluate(threshold=Threshold(positive="eye", value=0.93, chosen_on="validation"))
    of_other = evaluate(threshold=Threshold(positive="other", value=0.93, chosen_on="validation"))
    assert (shipped.threshold, shipped.chosen_on) == (0.93, "validation")
    assert (of_other.threshold, of_other.chosen_on) == (pytest.approx(0.07), "validation")
    assert (evaluate().threshold, evaluate().chosen_on) == (0.5, None)
    assert shipped.accepted.accepted.value == 14 / 20
    assert of_other.accepted.accepted.value == 1


def test_the_accepted_class_is_counted_by_source_too():
    groups = evaluate(
        threshold=Threshold(positive="eye", value=0.93, chosen_on="-")
    ).accepted_groups
    assert [(group.name, group.images) for group in groups] == [
        ("source disc", 10),
        ("source whole", 10),
    ]
    assert {group.accepted.value for group in groups} == {0.7}


def test_groups_of_the_training_images_are_marked():
    groups = {group.name: group for group in evaluate().negatives}
    assert {name: group.trained for name, group in groups.items()} == {
        "all": True,
        "forest": False,
        "street": True,
    }
    assert [groups[name].images for name in ("all", "forest", "street")] == [4, 1, 3]
    assert groups["forest"].accepted.value == 1
    assert groups["street"].accepted.value == pytest.approx(1 / 3)


def test_false_accepts_are_compared_at_95_percent_accepted():
    result = evaluate()
    (forest,) = (group for group in result.negatives if group.name == "forest")
    (street,) = (group for group in result.negatives if group.name == "street")
    # 19 of 20 would do, but the two lowest are equal: all are let through
    assert result.comparable_threshold == pytest.approx(0.55, abs=1e-6)
    assert forest.accepted_at_95.value == 1
    assert street.accepted_at_95.value == pytest.approx(1 / 3)
    assert forest.auc and forest.auc.value == pytest.approx(0.9)
    assert forest.auc.low < 0.9 < forest.auc.high


def test_false_accepts_at_95_percent_are_counted_at_the_highest_such_threshold():
    result = evaluate(
        dataset(
            rows([0.99] * 95, "eye"), rows([0.1] * 5, "eye", number="5"), rows([0.7] * 10, "other")
        )
    )
    assert result.comparable_threshold == pytest.approx(0.99, abs=1e-6)
    assert [group.accepted_at_95.value for group in result.negatives] == [0]
    assert [group.accepted.value for group in result.negatives] == [1]


def test_unlabelled_images_count_as_training_images():
    unlabelled = rows([0.1], "", "unlabelled", source="forest")
    near = dataset(rows([0.3], "moon"), rows([0.3], "orange"))
    near.frame["sha256"] = ["moon", "-unlabelled-0"]
    more = Dataset.of(
        pd.concat([DATA.frame, pd.DataFrame(unlabelled)], ignore_index=True), CLASSES, DATA.cache
    )
    groups = {(group.near_miss, group.name): group for group in evaluate(more, near).negatives}
    assert groups[False, "forest"].trained
    assert not groups[True, "moon"].trained
    assert groups[True, "orange"].trained


def test_near_misses_are_evaluated_by_group_and_training_images_are_recognised():
    near = dataset(rows([0.97, 0.2], "moon"), rows([0.3], "orange"))
    stolen = near.frame.copy()
    stolen.loc[stolen["label"] == "orange", "sha256"] = "other-train-0"
    groups = evaluate(near=replace(near, frame=stolen)).negatives
    near_misses = {group.name: group for group in groups if group.near_miss}
    assert list(near_misses) == ["all", "moon", "orange"]
    assert near_misses["moon"].accepted.value == 0.5
    assert not near_misses["moon"].trained
    assert near_misses["orange"].trained


def test_altered_images_are_counted_by_what_was_done():
    corrupted = dataset(rows([0.9, 0.4], "blur"), rows([0.9, 0.9], "grey"))
    groups = evaluate(corrupted=corrupted).corrupted
    assert [(group.name, group.accepted.value) for group in groups] == [
        ("blur", 0.5),
        ("grey", 1.0),
    ]


def test_the_images_that_look_most_like_the_accepted_class_are_kept_by_name():
    near = dataset(rows([0.97] + [0.01] * 40, "moon"), rows([0.6], "orange"))
    nearest = evaluate(near=near).nearest
    assert len(nearest) == KEPT
    assert [image.probability for image in nearest[:3]] == pytest.approx([0.97, 0.6, 0.01])
    assert [image.group for image in nearest[:3]] == ["moon", "orange", "moon"]
    assert [image.accepted for image in nearest[:3]] == [True, True, False]


def test_an_accepted_near_miss_is_kept_for_any_test_images():
    likely = dataset(rows([0.9], "eye"), rows([0.99] * 2 * KEPT, "other"))
    (kept,) = evaluate(likely, near=dataset(rows([0.6], "moon"))).nearest
    assert (kept.group, kept.near_miss, kept.accepted) == ("moon", True, True)


def test_images_without_a_source_are_evaluated_together():
    plain = dataset(rows([0.9, 0.8], "eye"), rows([0.1], "other"))
    result = evaluate(plain)
    assert [group.name for group in result.negatives] == ["all"]
    assert result.accepted_groups == ()
    assert evaluate(dataset(rows([0.9], "eye"))).negatives == ()


def test_test_images_without_a_source_are_named_so_where_others_have_one():
    some = dataset(
        rows([0.9], "eye"),
        rows([0.1] * 2, "other", source="street"),
        rows([0.2], "other", source=""),
    )
    groups = {group.name: group for group in evaluate(some).negatives}
    assert {name: group.images for name, group in groups.items()} == {
        "all": 3,
        "no source": 1,
        "street": 2,
    }
    assert groups["no source"].trained  # that it was not cannot be known


@pytest.mark.parametrize("answer", ["nan", "1.7"])
@pytest.mark.parametrize("what", ["test", "near-miss", "altered"])
def test_an_impossible_probability_is_refused(answer: str, what: str):
    def images(name: str) -> Dataset:
        broken = rows([float(answer)], "other") if name == what else []
        return dataset(rows([0.9], "eye"), rows([0.1], "other", source="a"), broken)

    said = f"1 of 3 {what} images have a probability outside 0..1, .*'eye': {answer}"
    with pytest.raises(PupilaError, match=said):
        evaluate(images("test"), images("near-miss"), images("altered"))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (replace(DATA, classes=("eye", "other", "more")), "needs two classes"),
        (replace(DATA, classes=("a", "other")), "must be one of them"),
        (dataset(rows([0.9], "eye", "train"), rows([0.1], "other")), "there is none"),
        (
            dataset(rows([0.9], "eye", source="a"), rows([0.1], "other", source="all")),
            "have the source 'all', .* rename it",
        ),
    ],
    ids=["three classes", "unknown class", "no test image", "a source of the name of all"],
)
def test_what_cannot_be_evaluated_as_a_filter_is_refused(data: Dataset, said: str):
    with pytest.raises(PupilaError, match=said):
        evaluate(data)


MOST = '{"value": 0.9, "low": 0.8, "high": 1.0, "method": "Wilson 1927"}'
BEFORE = f"""{{
    "artifact": "0a1b", "format": "keras", "runtime": "keras 3.12", "cpu": "a CPU",
    "cost": {{
        "size_bytes": 9, "gzip_bytes": 8, "parameters": 7, "macs": 6,
        "latency": {{"median_ms": 1.0, "p95_ms": 2.0, "repeats": 5, "threads": 1}},
        "peak_memory_bytes": null
    }},
    "split": "test",
    "metrics": {{
        "images": 10, "positive": "normal", "accuracy": {MOST}, "auc": null,
        "confusion": [[5, 0], [1, 4]],
        "ece": {MOST}, "brier": {MOST}
    }},
    "validation": null, "groups": {{}}, "agreement": null, "probabilities": "p.npy"
}}"""
"""An evaluation as it was written before filters were evaluated."""


def test_evaluations_from_before_there_were_filters_can_be_read():
    read = Evaluation.model_validate_json(BEFORE)
    assert read.open_set is None
    assert read.metrics.accuracy.value == 0.9
