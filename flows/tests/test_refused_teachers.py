"""A teacher whose file is refused ends a run at once, and as any other mistake."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import run_pupila

from pupila.testing import draw_images

RECIPE = """\
name: refused
data: {path: images}
teachers: {big: {path: big.keras, classes: [square, triangle]}}
steps: {lite: {use: export-tflite, from: big}, alone: {use: train, with: {student: conv-32-64-8}}}
"""


@pytest.mark.slow
def test_a_run_with_a_file_that_is_no_model_ends_with_code_2_and_trains_nothing(
    tmp_path: Path,
) -> None:
    draw_images(tmp_path / "images", images=6)
    (tmp_path / "big.keras").write_bytes(b"PK\x03\x04 no model")
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    done = run_pupila(tmp_path, "run", "recipe.yaml", code=2)
    assert "error: Teacher 'big' cannot be read: " in done.stderr
    assert "Nothing was trained." in done.stderr
    assert not list((tmp_path / ".pupila" / "runs").glob("*/*"))
    assert not list((tmp_path / ".pupila" / "logs").glob("alone-*"))
