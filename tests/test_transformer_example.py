"""The script that trains a transformer writes a teacher that Pupila reads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pupila import OutputSpec, installed
from pupila.testing import draw_images

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.long
def test_the_trained_transformer_is_read_as_a_teacher(tmp_path: Path):
    images, written = draw_images(tmp_path / "images", images=8), tmp_path / "transformer.keras"
    program = [sys.executable, EXAMPLES / "train_transformer.py", images, written]
    subprocess.run([*program, "--epochs", "2", "--size", "32"], check=True)
    (tmp_path / "loaded").mkdir()
    output = OutputSpec(kind="softmax", classes=("square", "triangle"))
    result = installed().loader(written).load()(written, output, tmp_path / "loaded")
    assert (result.format, result.input.shape) == ("keras", (32, 32, 3))
    assert result.macs and result.parameters
