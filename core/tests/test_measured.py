from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel, ValidationError

from pupila import InputSpec, OutputSpec, StepResult
from pupila.artifact import Artifact, Origin, Record
from pupila.evaluation import Estimate, OperatingPoint
from pupila.measured import (
    MODELS,
    Candidate,
    FloatComparison,
    Interval,
    LayerSensitivities,
    LayerSensitivity,
    Measured,
    PluginWarning,
    PruningCurve,
    PruningRound,
    SearchResult,
    TeacherAgreement,
    TeacherQualities,
    TeacherQuality,
    TrainingSummary,
    history_of,
    problems,
)
from pupila.store import digest_of

ROUNDS = (
    PruningRound(parameters=9, parameters_removed=0.0, validation_accuracy=0.75, macs=12),
    PruningRound(parameters=3, parameters_removed=0.6667, validation_accuracy=1.0, macs=4),
)
CURVE = PruningCurve(curve=ROUNDS, round=1, reason="Round 1, the last.")
INTERVAL = {"value": 0.75, "low": 0.5, "high": 1.0}
ESTIMATE = Estimate(**INTERVAL, method="Wilson 1927")
SEARCHED = {"name": "c1", "bytes": 900, "validation_accuracy": INTERVAL}


def test_numbers_of_numpy_are_numbers_at_any_depth():
    measured = Measured(
        {
            "loss": np.float32(0.5),
            "epochs": np.int64(3),
            "best": {"at": [np.int8(2), (np.bool_(True), np.array([[1, 2]]))]},
            np.str_("name"): np.str_("a"),
        },
        clock={"seconds": np.float64(1.5)},
    )
    assert json.loads(json.dumps(dict(measured))) == {
        "loss": 0.5,
        "epochs": 3,
        "best": {"at": [2, [True, [[1, 2]]]]},
        "name": "a",
        "seconds": 1.5,
    }
    assert measured.timings == {"seconds": 1.5}
    assert '"loss":0.5' in record(measured).model_dump_json()


def record(measured: Any) -> Record:
    return Record(
        format="keras",
        files={"model.keras": "0" * 64},
        input=InputSpec(height=8, width=8),
        output=OutputSpec(kind="softmax", classes=("a", "b")),
        origin=Origin(plugin="prune", distribution="d", version="1"),
        measured=measured,
    )


def test_models_and_other_values_are_in_one_flat_object():
    measured = Measured(PluginWarning(warning="Few images."), CURVE, {"kernels_skipped": 2})
    assert dict(measured) == {
        "warning": "Few images.",
        "curve": [
            {
                "parameters": 9,
                "parameters_removed": 0.0,
                "validation_accuracy": 0.75,
                "macs": 12,
            },
            {
                "parameters": 3,
                "parameters_removed": 0.6667,
                "validation_accuracy": 1.0,
                "macs": 4,
            },
        ],
        "round": 1,
        "reason": "Round 1, the last.",
        "kernels_skipped": 2,
    }


def test_what_was_not_set_is_not_written_and_what_was_set_to_none_is():
    known = {"name": "c1", "bytes": 900}
    assert dict(Measured(Candidate(name="c1", bytes=900))) == known
    untimed = Candidate(name="c1", bytes=900, latency_ms=None)
    assert dict(Measured(untimed)) == known | {"latency_ms": None}


def test_the_last_of_two_values_with_one_name_counts():
    assert dict(Measured({"a": 1, "b": 2}, {"a": 3})) == {"a": 3, "b": 2}


def test_a_record_is_written_and_digested_like_a_plain_object():
    figures = {"seconds": 1.0, "round": 0, "none": None, "deep": [{"b": (1, 2), "a": 2**70}]}
    written = json.loads(record(Measured(figures)).model_dump_json())
    assert list(written["measured"]) == list(figures)
    assert written["measured"] == json.loads(json.dumps(figures))
    # computed when `Record.measured` was a dictionary
    assert digest_of(record(Measured(figures))) == (
        "ac82f78765cbe34598cbecc1481a41db308ccac5ca31e7a75b468b207554cc4f"
    )
    assert digest_of(record(Measured())) == (
        "1ba0587740913ba6c58a0143f22f28e51c5c267681ec95ebf7bcf3c81f5d47b7"
    )


def test_a_record_is_read_back_as_it_was():
    made = record(Measured(CURVE, {"kernels_skipped": 2}))
    again = Record.model_validate_json(made.model_dump_json())
    assert again == made
    assert again.measured.read(PruningCurve) == CURVE
    assert again.measured["kernels_skipped"] == 2


def test_a_plain_mapping_becomes_measured_where_it_is_stored():
    assert record({"warning": "Few images."}).measured.read(PluginWarning) == PluginWarning(
        warning="Few images."
    )


def test_a_step_result_has_measured_nothing_by_default():
    model = Artifact(Path("model"), "0" * 64, record(Measured(CURVE)))
    product = StepResult.like(model, format="tflite")
    assert product.measured == Measured() == {}


def test_several_models_are_read_from_one_artifact():
    teachers = TeacherQualities(
        teachers=(
            TeacherQuality(digest="ab", validation_accuracy=Interval.of(ESTIMATE)),
            TeacherQuality(digest="cd", validation_accuracy=Interval.of(ESTIMATE)),
        )
    )
    agreement = TeacherAgreement(agreement=((1, 0.5), (0.5, 1)), teachers_disagree=0.5)
    measured = Measured(teachers, agreement)
    assert measured.read(TeacherQualities) == teachers
    assert measured.read(TeacherAgreement) == agreement
    assert measured.read(PruningCurve) is None
    assert measured["teachers"][0]["validation_accuracy"] == INTERVAL | {"method": "Wilson 1927"}


def test_a_plugins_own_model_is_written_and_read_in_the_same_way():
    class Soup(BaseModel):
        ingredients: tuple[str, ...]

    soup = Soup(ingredients=("a", "b"))
    assert Measured(soup).read(Soup) == soup
    assert dict(Measured(soup)) == {"ingredients": ["a", "b"]}


@pytest.mark.parametrize(
    ("kind", "figures"),
    [
        (PruningCurve, {"curve": 7, "round": 0}),
        (PruningCurve, {"curve": [{"parameters": "many"}], "round": 0}),
        (PruningCurve, {"curve": [{"parameters": 3, "validation_accuracy": 0.5}], "round": 1}),
        (PruningCurve, {"curve": [{"parameters": 3, "validation_accuracy": float("nan")}]}),
        (LayerSensitivities, {"sensitivity": "high"}),
        (LayerSensitivities, {"sensitivity": [{"layer": "a", "divergence": "low"}]}),
        (TeacherAgreement, {"agreement": 0.9}),
        (TeacherAgreement, {"agreement": [[1, 2], [2, 1]]}),
        (TeacherAgreement, {"agreement": [[1, 0.5]]}),
        (SearchResult, {"chosen": "c1", "front": []}),
        (SearchResult, {"front": [SEARCHED]}),
        (PluginWarning, {"warning": 7}),
        (TrainingSummary, {}),
    ],
)
def test_what_does_not_look_like_a_model_is_not_read_as_one(
    kind: type[BaseModel], figures: dict[str, Any]
):
    assert Measured(figures).read(kind) is None


def test_a_curve_cannot_keep_a_missing_round():
    with pytest.raises(ValidationError, match="round 2 is kept, but `curve` has 2"):
        PruningCurve(curve=ROUNDS, round=2)


def test_a_search_has_its_models_the_most_accurate_first_and_the_chosen_one_among_them():
    better = SEARCHED | {"name": "c2", "validation_accuracy": INTERVAL | {"value": 0.8}}
    result = Measured({"chosen": "c2", "front": [SEARCHED], "chosen_model": better}).read(
        SearchResult
    )
    assert result and [model.name for model in result.models] == ["c2", "c1"]
    assert result.best and result.best.name == "c2"


def test_rounding_may_move_a_value_out_of_its_range():
    sensitivity = LayerSensitivity(layer="a", divergence=-1.2e-9, accuracy=1.0000001)
    written = Measured(LayerSensitivities(sensitivity=(sensitivity,)))
    assert written["sensitivity"][0]["divergence"] == -1.2e-9
    assert written["sensitivity"][0]["accuracy"] == 1.0000001
    with pytest.raises(ValidationError):
        LayerSensitivity(layer="a", divergence=0.0, accuracy=1.01)


def test_the_history_of_a_training_has_rounded_values_by_name():
    epochs = [{"loss": 0.51239, "val_loss": 0.7}, {"loss": 0.4, "val_loss": 0.61111}]
    both = {"loss": [0.5124, 0.4], "validation_loss": [0.7, 0.6111]}
    assert history_of(epochs) == both
    assert history_of(epochs, "val_loss") == {"validation_loss": both["validation_loss"]}


@pytest.mark.parametrize(
    "measured",
    [
        Measured(CURVE),
        Measured({"seconds": 3.5}),
        Measured({"agreement": 0.9}),
        Measured({"agreement": [[1, 0.9], [0.9, 1]]}),
        Measured({"sensitivity": [{"layer": "a", "divergence": 0.1}]}),
        Measured(
            OperatingPoint(
                threshold=0.5, chosen_on="validation", sensitivity=ESTIMATE, specificity=ESTIMATE
            )
        ),
        Measured({"anything": {"else": [1, "two"]}}),
    ],
)
def test_values_that_fit_any_model_are_accepted(measured: Measured):
    assert problems(measured) == []


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ({"curve": 7}, "curve is not that of PruningCurve: Input should be a valid tuple"),
        ({"seconds": "long"}, "seconds is not that of TrainingSummary"),
        ({"sensitivity": "high"}, "sensitivity is not that of OperatingPoint"),
        (
            {"sensitivity": [{"layer": "a"}]},
            "sensitivity.0.divergence is not that of LayerSensitivities: Field required",
        ),
        ({"agreement": [[1, 0.9]]}, "agreement is not that of TeacherAgreement"),
        ({"warning": None}, "warning is not that of PluginWarning"),
    ],
)
def test_a_value_with_the_name_of_a_field_but_another_form_is_reported(
    figures: dict[str, Any], said: str
):
    assert said in "\n".join(problems(Measured(figures)))


def test_a_nan_difference_is_stored_and_read_back_as_none():
    comparison = FloatComparison(
        validation_images=10,
        validation_accuracy=0.5,
        float_accuracy=0.9,
        agreement=0.5,
        divergence=float("nan"),
        largest_difference=float("inf"),
    )
    again = Measured(json.loads(json.dumps(dict(Measured(comparison)), allow_nan=False)))
    assert again["divergence"] is None and again["largest_difference"] is None
    assert again.read(FloatComparison) == comparison
    assert not list(problems(again))
    layers = LayerSensitivities(
        sensitivity=(
            LayerSensitivity(layer="broken", divergence=float("nan")),
            LayerSensitivity(layer="stem", divergence=0.1),
        )
    )
    assert Measured(dict(Measured(layers))).read(LayerSensitivities) == layers


def test_every_field_of_every_model_is_described():
    bare = [
        f"{kind.__name__}.{name}"
        for kind in MODELS
        if kind is not OperatingPoint
        for name, field in kind.model_fields.items()
        if not field.description and not _is_model(field.annotation)
    ]
    assert bare == []


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
