"""What of a candidate a search that was cut off takes over, and what it makes again."""

from __future__ import annotations

import logging
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pupila import InputSpec
from pupila_search.building import build, weights_of
from pupila_search.candidates import Candidate, CandidateMetrics, read_weights, write_weights
from pupila_search.genome import Block, Genome
from pupila_search.morphism import Child
from pupila_search.population import Population

INPUT = InputSpec(height=16, width=16)
GENOME = Genome(blocks=(Block(mark=0, kind="convolution", filters=8),))
FIGURES = CandidateMetrics("stage-0", 1, 0.5, 0.9, (0,), None, 1.0, 1.0)


def candidate(folder) -> Candidate:
    return Candidate(0, GENOME, (), "", False, 0, 0, 1, 1, folder)


@pytest.fixture
def weights():
    return weights_of(build(GENOME, INPUT, 2))


def spoil(file) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize("damaged", ["stage-0.npz", "stage-0.json"])
def test_a_stage_of_which_a_file_is_damaged_is_trained_again(tmp_path, weights, damaged, caplog):
    caplog.set_level(logging.WARNING, "pupila")
    before = candidate(tmp_path)
    write_weights(before.weights_path("stage-0"), weights)
    before.pass_stage(FIGURES)
    assert candidate(tmp_path).recall("stage-0")
    spoil(tmp_path / damaged)
    after = candidate(tmp_path)
    assert not after.recall("stage-0") and not after.stages
    (line,) = caplog.messages
    assert line.startswith(f"{tmp_path / damaged} is damaged: it is made again")
    write_weights(after.weights_path("stage-0"), weights)
    after.pass_stage(FIGURES)
    again = candidate(tmp_path)
    assert again.recall("stage-0") and again.figures == FIGURES
    for name, arrays in again.weights().items():
        assert all(map(np.array_equal, arrays, weights[name]))


def test_where_fidelity_chooses_it_chooses_the_stage_and_the_candidate(tmp_path):
    faithful = replace(FIGURES, validation_fidelity=0.8)
    accurate = replace(
        FIGURES,
        stage="stage-1",
        validation_accuracy=1,
        validation_loss=0.1,
        validation_fidelity=0.7,
    )
    found = candidate(tmp_path)
    found.stages = [accurate, faithful]
    assert found.figures == faithful
    assert found.objective("fidelity") == pytest.approx(0.2)
    assert faithful.order < accurate.order
    by_loss = [replace(each, validation_fidelity=None) for each in (accurate, faithful)]
    found.stages = by_loss
    assert found.figures == by_loss[0] and found.objective("loss") == 0.1
    assert by_loss[0].order < by_loss[1].order


@pytest.mark.parametrize("damaged", ["start.npz", "candidate.json"])
def test_what_a_candidate_starts_from_is_written_again_where_it_is_damaged(
    tmp_path, weights, damaged
):
    config: Any = SimpleNamespace(input=INPUT, strategy="append", maximum_bytes=None)
    config.maximum_macs = None
    lesson: Any = SimpleNamespace(config=config, train=SimpleNamespace(classes="ab"), validation=[])
    pool: Any = None

    def admitted() -> Candidate:
        laboratory = Population(lesson, tmp_path, 0, pool, lambda done, total, what: None)
        return laboratory.admit(Child(GENOME, weights, preserved=False, change=""), (), 0)

    file = admitted().folder / damaged
    admitted()
    assert not list(file.parent.glob("*.damaged-*"))  # what is whole stays
    file.write_bytes(file.read_bytes()[:40]) if file.suffix == ".npz" else file.unlink()
    found = admitted()
    assert found.is_kept
    assert read_weights(found.weights_path("start")).keys() == weights.keys()


def test_a_candidate_that_starts_from_nothing_is_kept_as_it_is(tmp_path):
    found = candidate(tmp_path)
    found.keep({})
    assert found.is_kept and read_weights(found.weights_path("start")) == {}
