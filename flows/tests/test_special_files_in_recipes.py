"""Pipes and devices where a recipe names data, a teacher or near misses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pupila.errors import PupilaError
from pupila.testing import draw_images
from pupila_flows.data.open_set.near_misses import list_near_misses
from pupila_flows.plan.reading import read_plan

RECIPE = """\
name: clinic
data: {path: images}
teachers: {big: {path: big.keras, classes: [square, triangle]}}
steps: {lite: {use: export-tflite, from: big}}
evaluate: {open_set: {accepts: square, path: misses}}
"""


@pytest.mark.parametrize(
    ("written", "line", "what"),
    [("images", 2, "images"), ("big.keras", 3, "model"), ("misses", 5, "near misses")],
)
@pytest.mark.parametrize("special", ["pipe.csv", "/dev/zero"])
def test_what_is_not_a_file_is_reported_with_its_line(
    tmp_path: Path, special: str, written: str, line: int, what: str
):
    draw_images(tmp_path / "images", images=1)
    (tmp_path / "big.keras").write_bytes(b"model")
    draw_images(tmp_path / "misses", images=1)
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace(f"path: {written}", f"path: {special}"))
    with pytest.raises(PupilaError) as refused:
        read_plan(tmp_path / "recipe.yaml")
    lines = [line for line in str(refused.value).splitlines() if "pipe or a device" in line]
    (sentence,) = lines
    assert f"recipe.yaml:{line}: " in sentence
    assert sentence.endswith(f"is a pipe or a device: no {what} can be read from it.")


def test_near_misses_are_not_read_from_a_pipe_and_have_names_in_utf_8(tmp_path: Path):
    os.mkfifo(tmp_path / "misses.csv")
    with pytest.raises(PupilaError, match="is a pipe or a device: expected a folder"):
        list_near_misses(tmp_path / "misses.csv")
    group = os.fsencode(tmp_path) + b"/groups/caf\xe9"
    os.makedirs(group)  # noqa: PTH103  bytes
    with open(group + b"/1.png", "wb"):  # noqa: PTH123  bytes
        pass
    with pytest.raises(PupilaError, match="is a name that is not in UTF-8"):
        list_near_misses(tmp_path / "groups")
