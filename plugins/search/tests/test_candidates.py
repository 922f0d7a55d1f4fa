"""What an interrupted search reads of a candidate, and what it makes again."""

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
METRICS = CandidateMetrics("stage-0", 1, 0.5, 0.9, (0,), None, 1.0, 1.0)


def candidate(folder) -> Candidate:
    return Candidate(0, GENOME, (), "", False, 0, 0, 1, 1, folder)


@pytest.fixture
def weights():
    return weights_of(build(GENOME, INPUT, 2))


def spoil(file) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize("damaged", ["stage-0.npz", "stage-0.json"])
def test_a_stage_with_a_damaged_file_is_trained_again(tmp_path, weights, damaged, caplog):
    caplog.set_level(logging.WARNING, "pupila")
    before = candidate(tmp_path)
    write_weights(before.weights_path("stage-0"), weights)
    before.save_stage(METRICS)
    assert candidate(tmp_path).restore("stage-0")
    spoil(tmp_path / damaged)
    after = candidate(tmp_path)
    assert not after.restore("stage-0") and not after.stages
    (line,) = caplog.messages
    assert line.startswith(f"{tmp_path / damaged} is damaged: it is made again")
    write_weights(after.weights_path("stage-0"), weights)
    after.save_stage(METRICS)
    again = candidate(tmp_path)
    assert again.restore("stage-0") and again.metrics == METRICS
    for name, arrays in again.weights().items():
        assert all(map(np.array_equal, arrays, weights[name]))


def test_where_fidelity_chooses_it_chooses_the_stage_and_the_candidate(tmp_path):
    faithful = replace(METRICS, validation_fidelity=0.8)
    accurate = replace(
        METRICS,
        stage="stage-1",
        validation_accuracy=1,
        validation_loss=0.1,
        validation_fidelity=0.7,
    )
    trained = candidate(tmp_path)
    trained.stages = [accurate, faithful]
    assert trained.metrics == faithful
    assert trained.objective("fidelity") == pytest.approx(0.2)
    assert faithful.order < accurate.order
    by_loss = [replace(metrics, validation_fidelity=None) for metrics in (accurate, faithful)]
    trained.stages = by_loss
    assert trained.metrics == by_loss[0] and trained.objective("loss") == 0.1
    assert by_loss[0].order < by_loss[1].order


@pytest.mark.parametrize("damaged", ["start.npz", "candidate.json"])
def test_damaged_first_weights_are_written_again(tmp_path, weights, damaged):
    config: Any = SimpleNamespace(input=INPUT, strategy="append", max_bytes=None)
    config.max_macs = None
    targets: Any = SimpleNamespace(
        config=config, train=SimpleNamespace(classes="ab"), validation=[], task=None
    )
    pool: Any = None

    def add_child() -> Candidate:
        population = Population(targets, tmp_path, 0, pool, lambda done, total, what: None)
        return population.add(Child(GENOME, weights, preserved=False, change=""), (), 0)

    file = add_child().folder / damaged
    add_child()
    assert not list(file.parent.glob("*.damaged-*"))  # what is whole stays
    file.write_bytes(file.read_bytes()[:40]) if file.suffix == ".npz" else file.unlink()
    added = add_child()
    assert added.is_saved
    assert read_weights(added.weights_path("start")).keys() == weights.keys()


def test_a_candidate_without_first_weights_is_saved(tmp_path):
    written = candidate(tmp_path)
    written.save({})
    assert written.is_saved and read_weights(written.weights_path("start")) == {}
