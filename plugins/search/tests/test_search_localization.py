"""A search for a student that ends in a heat map, and the genomes that it draws."""

from __future__ import annotations

import numpy as np
import pytest

from pupila import InputSpec, PupilaError, installed, keras_files
from pupila.measured import SearchResult
from pupila.testing import DISC, DiscSteps
from pupila.training.task import TaskTraining
from pupila_search.building import build, load, weights_of
from pupila_search.config import Search
from pupila_search.genome import Space, positions_left
from pupila_search.summary import sizes
from pupila_search.variation import HistoricalMarks, Parent, Variation

SIZE = InputSpec(height=64, width=64)

QUICK = {
    "size": 64,
    "minutes": None,
    "max_candidates": 2,
    "epochs": (10,),
    "learning_rate": 1e-2,
    "population": 2,
    "children": 1,
    "finalists": 0,
    "workers": 1,
    "batch_size": 3,
    "augmentation": {"views": 2},
}


@pytest.fixture(scope="module")
def discs(tmp_path_factory: pytest.TempPathFactory) -> DiscSteps:
    return DiscSteps(tmp_path_factory.mktemp("discs"))


@pytest.fixture(scope="module")
def task(discs: DiscSteps) -> TaskTraining:
    from pupila.training.task import training_of

    return training_of(discs.dataset)


@pytest.fixture(scope="module")
def variation(task: TaskTraining) -> Variation:
    space = Space(SIZE, len((DISC,)), 200_000, 15_000_000, task=task)
    return Variation(space, np.random.default_rng(0), HistoricalMarks())


def test_every_genome_keeps_a_map_fine_enough_for_the_task(variation: Variation):
    genomes = [variation.initial() for _ in range(20)]
    left = {positions_left(genome, SIZE) for genome in genomes}
    assert min(left) == (8, 8)
    assert len({len(genome.blocks) for genome in genomes}) > 2


def test_sizes_of_a_genome_are_those_of_its_model(variation: Variation, task: TaskTraining):
    genome = variation.initial()
    model = build(genome, SIZE, 1, task)
    rows, columns = positions_left(genome, SIZE)
    assert model.output_shape == (None, rows, columns, 3)
    assert variation.space.macs(genome) == keras_files.macs(model)
    *_, head = sizes(genome, variation.space)
    assert (head.rows, head.columns, head.channels) == (rows, columns, 3)


def test_children_of_a_genome_inherit_what_fits(variation: Variation, task: TaskTraining):
    genome = variation.initial()
    model = build(genome, SIZE, 1, task)
    image = np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3)).astype(np.float32)
    parent = Parent(genome, weights_of(model))
    preserved = 0
    for _ in range(20):
        child = variation.mutate(parent)
        other = build(child.genome, SIZE, 1, task)
        load(other, child.weights)
        if child.preserved:
            preserved += 1
            np.testing.assert_allclose(model(image), other(image), atol=1e-3)
    assert preserved


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"strategy": "append"}, "`strategy: append` is for the task 'classification' alone"),
        (
            {"distillation": "oracle"},
            "`distillation: oracle` is for the task 'classification' alone",
        ),
    ],
)
def test_what_only_classifiers_can_do_is_refused(setting: dict[str, str], message: str):
    config = Search.model_validate(setting)
    assert config.for_task(installed().task("classification")) == config
    with pytest.raises(PupilaError, match=message):
        config.for_task(installed().task("localization"))


@pytest.mark.long
@pytest.mark.parametrize(
    "objectives",
    [("loss", "bytes", "macs"), ("fidelity", "bytes")],
)
def test_a_search_finds_a_locator(discs: DiscSteps, objectives: tuple[str, ...]):
    searched = discs.run("search", **QUICK, objectives=objectives)
    record, result = searched.artifact.record, searched.result.measured.read(SearchResult)
    assert (record.output.task, record.output.kind) == ("localization", "heat-map")
    assert record.output.size is not None
    assert min(record.output.size[:2]) >= 8
    assert np.isfinite(discs.answers(searched.artifact)).all()
    assert discs.shift(searched.artifact) < 10
    assert result is not None
    best = result.front[0].name
    picked = discs.run("search-pick", searched.artifact, pick=best).artifact
    assert installed().step("search-pick").can_do(record.output.task)
    assert picked.record.output.task == "localization"
