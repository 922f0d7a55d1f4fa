"""What an artifact's answers elsewhere must be like, and on which images they are looked at."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from pupila.dataset import Dataset
from pupila.evaluation import Agreement, Latency, RuntimeCheck
from pupila.intervals import proportion
from pupila_flows.recipe.schema import EvaluateSection
from pupila_flows.run import runtimes

STRICT = EvaluateSection(agreement=0.9, difference=0.05)


def _check(same: int, difference: float) -> RuntimeCheck:
    return RuntimeCheck(
        runtime="LiteRT.js",
        cpu="x86-64",
        images=20,
        agreement=Agreement(
            reference="litert",
            labels=proportion(same, 20),
            mean_difference=difference,
            largest_difference=difference,
        ),
        latency=Latency(median_ms=1, p95_ms=1, repeats=5, threads=1),
        peak_memory_bytes=None,
        startup=None,
    )


@pytest.mark.parametrize(
    ("same", "difference", "said"),
    [
        (20, 0.0, None),
        (18, 0.05, None),
        (17, 0.0, "0.850 of 20 images are given the same class as by litert"),
        (20, 0.051, "a probability is 0.051 from that of litert"),
        (20, float("nan"), "a probability is nan from that of litert"),
    ],
)
def test_answers_that_are_too_far_off_are_a_failure(same: int, difference: float, said: str | None):
    reason = runtimes.failure(_check(same, difference), STRICT)
    assert (reason is None) == (said is None)
    assert said is None or (reason is not None and reason.startswith(said))


def test_a_check_without_a_reference_does_not_fail():
    check = _check(0, 1).model_copy(update={"agreement": None})
    assert runtimes.failure(check, STRICT) is None


@pytest.mark.parametrize(
    ("asked", "rows"), [(1, [0]), (3, [0, 4, 9]), (10, [*range(10)]), (50, [*range(10)])]
)
def test_probed_images_are_spread_over_all(asked: int, rows: list[int], tmp_path: Path):
    frame = pd.DataFrame(
        {
            "path": [f"{number}.png" for number in range(10)],
            "label": ["a"] * 5 + ["b"] * 5,
            "split": "test",
            "sha256": [f"{number:064d}" for number in range(10)],
        }
    )
    chosen = runtimes.probe(Dataset.of(frame, ("a", "b"), tmp_path), asked)
    expected = [f"{number}.png" for number in rows]
    assert chosen.frame["path"].tolist() == expected
