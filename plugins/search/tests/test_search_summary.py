from __future__ import annotations

import json

import numpy as np
import pytest

from pupila import InputSpec
from pupila.measured import Genome as MeasuredGenome
from pupila.measured import Measured
from pupila_search.building import build
from pupila_search.candidates import Candidate, CandidateMetrics
from pupila_search.genome import Block, Genome, Head, Space
from pupila_search.multiple_comparisons import MultipleComparisons
from pupila_search.progress_text import describe_progress
from pupila_search.summary import sizes
from pupila_search.variation import HistoricalMarks, Variation

SPACE = Space(InputSpec(height=48, width=32), 3)


def learned(layer) -> int:
    """Count what a layer keeps when normalisation is folded into the convolution before it."""
    if type(layer).__name__ == "BatchNormalization":
        return int(layer.beta.shape[0])
    return layer.count_params()


def drawn(seed: int) -> Genome:
    return Variation(SPACE, np.random.default_rng(seed), HistoricalMarks()).initial()


GENOMES = pytest.mark.parametrize(
    "genome",
    [
        Genome(blocks=(Block(mark=0, kind="convolution", filters=8, normalised=False),)),
        Genome(
            blocks=(
                Block(mark=0, kind="separable", filters=16, stride=2, pooling="max"),
                Block(mark=1, kind="inverted", filters=16, hidden=32, squeeze=8, shortcut=True),
            ),
            head=Head(flatten=True, units=16),
        ),
        drawn(1),
        drawn(2),
    ],
)


@GENOMES
def test_a_measured_genome_has_all_its_fields(genome):
    written = Measured(MeasuredGenome.model_validate(genome.model_dump()))
    assert json.dumps(dict(written)) == json.dumps(genome.model_dump(mode="json"))


@GENOMES
def test_sizes_are_those_of_the_model_that_is_built(genome):
    model = build(genome, SPACE.input, SPACE.classes)
    blocks = sizes(genome, SPACE)
    assert len(blocks) == len(genome.blocks) + 1
    for block, size in zip(genome.blocks, blocks, strict=False):
        layers = [layer for layer in model.layers if layer.name.startswith(f"{block.name}_")]
        shape = (size.rows, size.columns, size.channels)
        assert layers[-1].output.shape[1:] == shape
        assert sum(map(learned, layers)) == size.parameters
    heads = [layer for layer in model.layers if not layer.name.startswith("block_")]
    assert sum(map(learned, heads)) == blocks[-1].parameters
    assert blocks[-1].channels == SPACE.classes


def candidate(number: int, accuracy: float, latency_ms: float | None, folder) -> Candidate:
    wrong = tuple(range(1000 - round(1000 * accuracy)))
    figures = CandidateMetrics("stage-0", 1, 0.4, accuracy, wrong, latency_ms, 1.0, 1.0)
    return Candidate(number, drawn(1), (), "initial", False, 2, 7, 38_412, 1, folder, [figures])


def test_progress_is_a_line_with_the_best_and_a_table_of_the_front(tmp_path):
    front = [candidate(3, 0.91, None, tmp_path), candidate(31, 0.953, 0.312, tmp_path)]
    comparisons = MultipleComparisons(images=1000, looks=40)
    first, _, table = describe_progress(40, front, front[1], comparisons).partition("\n\n")
    chosen = "best on the images that choose: c31 95.3% in 38 kB"
    assert first == f"40 candidates, 2 on the front, {chosen}"
    assert table.splitlines()[2:] == [
        "| c31 | 2 | 95.3% | 92.7–97.2 | 38.4 kB | 0.31 ms |",
        "| c3 | 2 | 91.0% | 87.7–93.7 | 38.4 kB | – |",
    ]
    assert "none within the bytes" in describe_progress(1, front, None, comparisons)
    assert (
        describe_progress(0, [], None, comparisons)
        == "0 candidates, 0 on the front, none within the bytes"
    )
    many = [candidate(number, 0.9, None, tmp_path) for number in range(15)]
    assert describe_progress(15, many, many[0], comparisons).endswith("\n\nand 3 more")
