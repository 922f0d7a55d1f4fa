"""Numbers in recipes are those of YAML 1.2: what looks like a decimal number is one."""

from __future__ import annotations

from pathlib import Path

import pytest

from pupila.testing import draw_images
from pupila_flows.plan.reading import read_plan
from pupila_flows.recipe.source import RecipeError, read_value

RECIPE = """
name: numbers
seed: {seed}
data: {{path: images}}
steps:
  pupil:
    use: train
    with: {{student: conv-32-64-8, size: 32, epochs: {epochs}, learning_rate: 1e-3}}
"""


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("010", 10),
        ("08", 8),
        ("-5", -5),
        ("0o17", 15),
        ("0x1F", 31),
        (".5", 0.5),
        ("1e-3", 0.001),
        ("1.5e3", 1500.0),
        ("-.inf", float("-inf")),
        ("1:30", "1:30"),
        ("12:30:45", "12:30:45"),
        ("0b1", "0b1"),
        ("1.2.3", "1.2.3"),
    ],
)
def test_a_number_is_read_as_yaml_1_2_reads_it(text: str, value: object):
    assert read_value(text) == value
    assert type(read_value(text)) is type(value)


def write(folder: Path, seed: str, epochs: str) -> Path:
    draw_images(folder / "images")
    (folder / "recipe.yaml").write_text(RECIPE.format(seed=seed, epochs=epochs))
    return folder / "recipe.yaml"


def test_a_seed_with_a_leading_zero_is_decimal(tmp_path: Path):
    plan = read_plan(write(tmp_path, "010", "04"))
    assert plan.recipe.seed == 10
    assert plan.steps[0].config.model_dump()["epochs"] == 4


def test_a_time_is_not_a_number_of_epochs(tmp_path: Path):
    with pytest.raises(RecipeError, match=r"recipe\.yaml:8: .*epochs.*1:30"):
        read_plan(write(tmp_path, "1", "1:30"))
