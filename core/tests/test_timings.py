"""Clock times are stored beside a record and do not change the digest of an artifact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pupila.artifact import RECORD_NAME, TIMINGS_NAME, Artifact, Origin
from pupila.errors import PupilaError
from pupila.measured import (
    Candidate,
    Interval,
    Measured,
    SearchedModel,
    SearchResult,
    TrainingSummary,
)
from pupila.spec import InputSpec, OutputSpec
from pupila.store import Store, digest_of, read_artifact

TRAINED = TrainingSummary(best_epoch=1, epochs=1, history={}, seconds=1.5, images_per_second=80.0)


def add(store: Store, measured: Measured, name: str = "model.keras") -> Artifact:
    with store.draft() as folder:
        (folder / name).write_bytes(b"w")
        return store.add(
            folder,
            format="keras",
            input=InputSpec(height=8, width=8),
            output=OutputSpec(kind="softmax", classes=("a", "b")),
            origin=Origin(plugin="tiny", distribution="tiny", version="1"),
            measured=measured,
        )


def searched(hurry: float) -> SearchResult:
    """Return a search whose times are multiplied by `hurry`."""
    interval = Interval(value=0.9, low=0.8, high=0.95)
    model = SearchedModel(name="c1", bytes=900, validation_accuracy=interval, latency_ms=hurry)
    return SearchResult(
        chosen="c1",
        chosen_model=model,
        front=(model,),
        candidates=(
            Candidate(name="c0", bytes=800, failed="no memory"),
            Candidate(
                name="c1",
                bytes=900,
                seconds=9 * hurry,
                latency_ms=hurry,
                stage_accuracies=(0.8, 0.9),
                stage_seconds=(4 * hurry, 9 * hurry),
            ),
        ),
        seconds=9 * hurry,
        candidates_per_minute=12 / hurry,
    )


@pytest.mark.parametrize(
    ("part", "timings"),
    [
        (TRAINED, {"seconds": 1.5, "images_per_second": 80.0}),
        (
            searched(2.0),
            {
                "seconds": 18.0,
                "candidates_per_minute": 6.0,
                "chosen_model/latency_ms": 2.0,
                "front/0/latency_ms": 2.0,
                "candidates/1/seconds": 18.0,
                "candidates/1/stage_seconds": [8.0, 18.0],
                "candidates/1/latency_ms": 2.0,
            },
        ),
        (SearchResult(chosen="c1", front=searched(2.0).front[:1]), {"front/0/latency_ms": 2.0}),
        ({"seconds": 3}, {}),
    ],
)
def test_measured_times_are_listed_by_their_path(part: Any, timings: dict[str, Any]):
    measured = Measured(part)
    assert measured.timings == timings
    assert Measured(measured).timings == timings


def test_the_best_accuracy_over_time_counts_models_within_the_size_limit_and_needs_times():
    def candidate(name: str, bytes: int, *stages: tuple[float, float]) -> Candidate:
        seconds, accuracies = zip(*stages, strict=True)
        return Candidate(name=name, bytes=bytes, stage_seconds=seconds, stage_accuracies=accuracies)

    result = searched(1.0).model_copy(
        update={
            "max_bytes": 900,
            "candidates": (
                candidate("c0", 800, (1.0, 0.7), (5.0, 0.8)),
                candidate("c1", 900, (3.0, 0.75), (9.0, 0.78)),
                candidate("c2", 901, (2.0, 0.99)),
            ),
        }
    )
    history = [
        (improvement.seconds, improvement.validation_accuracy, improvement.name)
        for improvement in result.history
    ]
    assert history == [(1.0, 0.7, "c0"), (3.0, 0.75, "c1"), (5.0, 0.8, "c0")]
    untimed = [
        candidate.model_copy(update={"stage_seconds": ()}) for candidate in result.candidates
    ]
    assert result.model_copy(update={"candidates": tuple(untimed)}).history == ()


def test_the_last_of_two_values_with_one_name_decides_whether_it_is_a_time():
    assert Measured(TRAINED, {"seconds": 2}).timings == {"images_per_second": 80.0}
    assert Measured({"tuned": 2}, clock={"tuned": 3}).timings == {"tuned": 3}


def test_two_equal_runs_give_one_artifact_and_each_keeps_its_times(tmp_path: Path):
    stores = [Store(tmp_path / name) for name in ("one", "other")]
    made = [
        add(store, Measured(searched(hurry), {"kernels": 2}, clock={"tuned_seconds": hurry}))
        for store, hurry in zip(stores, (1.0, 2.5), strict=True)
    ]
    assert made[0].digest == made[1].digest
    for store, artifact, hurry in zip(stores, made, (1.0, 2.5), strict=True):
        assert "seconds" not in (artifact.path / RECORD_NAME).read_text()
        for read in (store.open(artifact.digest), read_artifact(artifact.path)):
            assert read == artifact
            assert read.record.measured.read(SearchResult) == searched(hurry)
            assert read.record.measured["tuned_seconds"] == hurry
            assert digest_of(read.record) == artifact.digest


def test_times_are_copied_with_an_artifact_and_may_be_lost(tmp_path: Path):
    made = add(Store(tmp_path / "here"), Measured(TRAINED))
    assert made.contents == [RECORD_NAME, TIMINGS_NAME, "model.keras"]
    there = Store(tmp_path / "there").adopt(made.path)
    assert (there.path / TIMINGS_NAME).read_text() == (made.path / TIMINGS_NAME).read_text()
    (made.path / TIMINGS_NAME).unlink()
    left = Store(tmp_path / "third").adopt(made.path)
    summary = left.record.measured.read(TrainingSummary)
    assert summary and summary.epochs == 1 and summary.seconds is None
    assert left.contents == [RECORD_NAME, "model.keras"]
    assert left.digest == there.digest


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[1]",
        '{"kernels": 9, "epochs/0": 3, "deep/x": 1}',
        '{"": 1, "nothing/here": 2}',
        "\xff",
    ],
)
def test_altered_times_change_no_other_value(tmp_path: Path, text: str):
    store, figures = Store(tmp_path), {"kernels": 2, "epochs": [3], "deep": {"x": 4}}
    made = add(store, Measured(figures))
    (made.path / TIMINGS_NAME).write_text(text, encoding="latin-1")
    read = store.open(made.digest)
    assert {name: read.record.measured[name] for name in figures} == figures
    assert digest_of(read.record) == made.digest


def test_an_artifact_of_which_only_times_were_measured_is_read_back(tmp_path: Path):
    store = Store(tmp_path)
    made = add(store, Measured(clock={"seconds": 1.0}))
    assert made.digest == add(store, Measured()).digest == digest_of(made.record)
    assert store.open(made.digest).record.measured["seconds"] == 1.0


def test_a_plugin_writes_no_times_into_the_store_itself(tmp_path: Path):
    with pytest.raises(PupilaError, match=r"wrote a file 'timings.json', which is the name of one"):
        add(Store(tmp_path), Measured(), TIMINGS_NAME)
