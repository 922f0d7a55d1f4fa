from __future__ import annotations

import pytest
from pydantic import ValidationError

from pupila import InputSpec, installed, keras_files
from pupila.store import Store
from pupila.testing import colour_dataset, run_step, store_model
from pupila_search.building import build
from pupila_search.genome import Block, Genome, Head, Space, int8_bytes, macs, positions_left

INPUT = InputSpec(height=32, width=32)

SIMPLE = Genome(blocks=(Block(mark=0, kind="convolution", filters=16),))
STUDY = Genome(
    blocks=(
        Block(mark=0, kind="convolution", filters=16, normalised=False, pooling="max"),
        Block(mark=4, kind="convolution", filters=64, pooling="max", activation="relu"),
    ),
    head=Head(flatten=True, units=16),
)
MIXED = Genome(
    blocks=(
        Block(mark=3, kind="convolution", filters=16, kernel=5, stride=2),
        Block(mark=1, kind="separable", filters=32, pooling="average"),
        Block(mark=7, kind="inverted", filters=32, hidden=64, squeeze=8, shortcut=True),
        Block(mark=2, kind="inverted", filters=48, hidden=96, stride=2, kernel=5),
    ),
    head=Head(units=8),
)
GENOMES = {"simple": SIMPLE, "study": STUDY, "mixed": MIXED}


@pytest.mark.parametrize("genome", GENOMES.values(), ids=GENOMES)
def test_a_genome_survives_json_exactly(genome):
    assert Genome.model_validate_json(genome.model_dump_json()) == genome


@pytest.mark.parametrize("genome", GENOMES.values(), ids=GENOMES)
def test_parameters_macs_and_sides_are_known_before_a_model_is_built(genome):
    model = build(genome, INPUT, 2)
    assert macs(genome, INPUT, 2) == keras_files.macs(model)
    maps = [
        layer for layer in model.layers if len(layer.output.shape) == 4 and layer.output.shape[1]
    ]
    sides = [tuple(layer.output.shape[1:3]) for layer in maps if "squeeze" not in layer.name]
    assert positions_left(genome, INPUT) == sides[-1]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"kind": "separable", "hidden": 8}, "hidden"),
        ({"kind": "inverted"}, "hidden"),
        ({"kind": "convolution", "shortcut": True}, "shortcut"),
        ({"kind": "inverted", "hidden": 8, "stride": 2, "shortcut": True}, "keeps the size"),
        ({"kind": "convolution", "kernel": 4}, "kernel"),
    ],
)
def test_an_impossible_block_is_refused(fields, said):
    with pytest.raises(ValidationError, match=said):
        Block(mark=0, filters=8, **fields)


def test_two_blocks_of_one_mark_are_refused():
    block = SIMPLE.blocks[0]
    with pytest.raises(ValidationError, match="marks tell blocks apart"):
        Genome(blocks=(block, block))


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({}, ""),
        ({"max_bytes": 1000}, "bytes, more than 1000"),
        ({"max_macs": 1000}, "multiply-accumulates"),
        ({"most_blocks": 1}, "4 blocks"),
        ({"fewest_filters": 32}, "filters, not 32 to 512"),
        ({"input": InputSpec(height=2, width=2)}, "nothing is left"),
    ],
)
def test_a_space_says_why_a_genome_is_outside(limits, said):
    space = Space(**({"input": INPUT, "classes": 2} | limits))
    fault = space.fault(MIXED)
    assert said in fault and bool(said) == bool(fault)


def test_shortcuts_that_no_longer_fit_are_left_out():
    blocks = list(MIXED.blocks)
    del blocks[1]
    assert [block.shortcut for block in MIXED.with_blocks(blocks).blocks] == [False, False, False]


def test_the_structure_ignores_history():
    other = MIXED.with_blocks(
        [block.model_copy(update={"mark": 9 - block.mark}) for block in MIXED.blocks]
    )
    assert other != MIXED and other.structure == MIXED.structure


@pytest.mark.parametrize(
    "genome",
    [
        pytest.param(MIXED, marks=pytest.mark.slow, id="mixed"),
        pytest.param(SIMPLE, marks=pytest.mark.long, id="simple"),
        pytest.param(STUDY, marks=pytest.mark.long, id="study"),
    ],
)
def test_the_estimated_size_is_that_of_an_exported_int8_file(genome, tmp_path):
    store = Store(tmp_path / "store")
    dataset = colour_dataset(tmp_path)
    artifact = store_model(store, build(genome, INPUT, 2), dataset.classes, "logits")
    for name in ("export-tflite", "quantize-int8"):
        plugin = installed().step(name)
        ran = run_step(
            plugin, plugin.config(), [artifact], tmp_path / name, store=store, dataset=dataset
        )
        artifact = ran.artifact
    assert int8_bytes(genome, INPUT, 2) == pytest.approx(artifact.size_bytes, rel=0.02)
