"""Candidates that are trained by a worker pool: answers, failures, and machines that are lost."""

from __future__ import annotations

import errno
import json
import time
from dataclasses import asdict
from pathlib import Path
from socket import gethostname
from types import SimpleNamespace
from typing import Any

import pytest

from pupila import SubTaskFailed
from pupila.store import Store
from pupila.testing import colour_dataset, colour_teacher, step_for
from pupila.training.schedule import Schedule
from pupila_search.candidates import CandidateMetrics
from pupila_search.config import Search
from pupila_search.genome import Block, Genome, Head
from pupila_search.stage_training import SubTask
from pupila_search.techniques import search
from pupila_search.workers import workers

TARGETS: Any = SimpleNamespace(digest="of what a worker pool that answers by itself does not read")
METRICS = CandidateMetrics("stage-0", 1, 0.5, 0.9, (3,), 1.5, 2.0, 0.0)


class Answering:
    """A worker pool that gives, or raises, what was prepared for a candidate, else metrics."""

    def __init__(self, **prepared):
        self.prepared, self.asked = prepared, []

    def call(self, name, target, arguments):
        self.asked.append(name)
        time.sleep(0.1)
        answer = self.prepared.get(name, asdict(METRICS))
        if isinstance(answer, Exception):
            raise answer
        return json.loads(json.dumps(answer))


class Here:
    """A worker pool that runs each subtask in this process, with arguments by JSON."""

    def call(self, name, target, arguments):
        given = json.loads(json.dumps(arguments))
        return json.loads(json.dumps(target(progress=lambda *_: None, **given)))


def subtasks(folder, count):
    genome = Genome(blocks=(Block(mark=0, kind="convolution", filters=4),), head=Head())
    return [
        SubTask(
            genome=genome,
            folder=folder / f"part{number}",
            stage="stage-0",
            source=folder / "start.npz",
            schedule=Schedule(epochs=1),
            seed=number,
            latency_ms=1.0,
        )
        for number in range(count)
    ]


def trained(pool, folder, count=3):
    with workers(1, TARGETS, pool, folder) as trainers:
        return dict(trainers.train(subtasks(folder, count), lambda: True))


def test_a_candidate_that_cannot_be_trained_fails_alone(tmp_path):
    pool = Answering(part0={"failed": "ValueError: no"}, part1=SubTaskFailed("killed, twice"))
    assert trained(pool, tmp_path) == {0: "ValueError: no", 1: "killed, twice", 2: METRICS}


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"broken": errno.ENOSPC, "reason": "No space left on device"}, OSError),
        (RuntimeError("all machines were lost"), RuntimeError),
    ],
)
def test_a_fault_of_a_machine_ends_the_search_and_fails_no_candidate(tmp_path, answer, error):
    pool = Answering(part1=answer)
    with pytest.raises(error) as caught:
        trained(pool, tmp_path, count=9)
    assert getattr(caught.value, "errno", errno.ENOSPC) == errno.ENOSPC
    assert len(pool.asked) < 9, "others were begun all the same"


def test_what_others_had_trained_is_kept_when_machines_are_lost(tmp_path):
    outcomes = []
    with (
        workers(3, TARGETS, Answering(part2=RuntimeError("lost")), tmp_path) as pool,
        pytest.raises(RuntimeError),
    ):
        outcomes.extend(pool.train(subtasks(tmp_path, 3), lambda: True))
    assert sorted(outcomes) == [(0, METRICS), (1, METRICS)]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ESTALE, "Stale file handle", "targets.pickle"), "targets.pickle"),
        (OSError("the file is damaged"), "the file is damaged"),
    ],
)
def test_a_machine_that_cannot_read_says_which_file_and_where(tmp_path, monkeypatch, error, words):
    def broken(self):
        raise error

    monkeypatch.setattr(Path, "read_bytes", broken)
    with pytest.raises(OSError, match=gethostname()) as caught:
        trained(Here(), tmp_path, count=1)
    assert words in str(caught.value)


@pytest.mark.long
def test_a_worker_pool_finds_what_local_processes_find(tmp_path):
    config = Search.model_validate(
        {
            "size": 16,
            "minutes": None,
            "max_candidates": 4,
            "epochs": (1, 1),
            "population": 2,
            "children": 2,
            "finalists": 1,
            "tuning_epochs": 1,
            "workers": 1,
            "objectives": ("loss", "bytes", "latency"),
            "augmentation": {"views": 1},
        }
    )
    dataset = colour_dataset(tmp_path)
    teacher = colour_teacher(Store(tmp_path / "store"))
    results = [
        search(
            step_for(config, [teacher], tmp_path / name, dataset=dataset, worker_pool=pool)
        ).measured
        for name, pool in (("alone", None), ("spread", Here()))
    ]
    alone, spread = ([model["genome"] for model in measured["front"]] for measured in results)
    assert (
        results[1]["failed"] == 0 and results[1]["stages_trained"] == results[0]["stages_trained"]
    )
    assert all(model["latency_ms"] > 0 for model in results[1]["front"])
    assert spread and {json.dumps(genome) for genome in spread} & {
        json.dumps(genome) for genome in alone
    }
