"""External images in a whole run: evaluated, used by the gate, never used for training."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from command_line import run_pupila
from PIL import Image

from pupila.store import Store
from pupila.testing import colour_teacher, draw_colours
from pupila_flows.results import RunResult

pytestmark = pytest.mark.long

RECIPE = """\
name: elsewhere
data: {path: images, expectations: {minimum_images: 2}}
teachers:
  big: {path: teacher}
steps:
  lite: {use: export-tflite, from: big}
external:
  clinic-b: {path: b, map: {rouge: red}}
  clinic-c: {path: c}
gate:
  fidelity: null
  margins: {accuracy: 0.3}
  external: {fidelity: 0.9}
evaluate: {latency_repeats: 5}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("external-job")
    draw_colours(folder / "images")
    teacher = colour_teacher(Store(folder / "elsewhere"))
    shutil.copytree(teacher.path, folder / "teacher")
    random = np.random.default_rng(9)
    for number in range(40):
        pixels = random.integers(30, 110, (40, 40, 3), np.uint8)
        pixels[..., 2 * (number % 2)] += np.uint8(random.integers(5, 80))
        for target in (folder / "b" / ("Blue" if number % 2 else "rouge"), folder / "c"):
            target.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(target / f"{number}.png")
    (folder / "b" / "Blue" / "broken.png").write_text("no image")
    (folder / "recipe.yaml").write_text(RECIPE)
    return folder


def test_every_model_is_evaluated_on_external_images_and_the_gate_uses_them(folder: Path):
    run_pupila(folder, "run", "recipe.yaml")
    last = folder / ".pupila" / "runs" / "elsewhere" / "latest"
    result = RunResult.model_validate_json((last / "result.json").read_text())
    b, c = result.external
    assert (b.counts, len(b.skipped), c.counts) == ({"blue": 20, "red": 20}, 1, None)
    entries = {entry.name: entry for entry in result.entries}
    (there, bare), (of_teacher, _) = entries["lite"].external, entries["big"].external
    assert there.evaluation and bare.evaluation and of_teacher.evaluation
    assert there.evaluation.figures.metrics and of_teacher.evaluation.figures.fidelity is None
    assert set(there.differences) == {"accuracy", "auc", "sensitivity", "specificity"}
    fidelity = bare.evaluation.figures.fidelity
    assert fidelity and fidelity.correlation.value > 0.99
    assert fidelity.colour and fidelity.colour.value > 0.9  # the teacher itself goes by colour
    assert result.gate and result.gate.verdict == "pass"
    conditions = {
        (finding.condition, finding.external) for finding in result.gate.artifacts[0].findings
    }
    asked = {("accuracy", "clinic-b"), ("external_fidelity", "clinic-b")}
    assert conditions >= asked | {("external_fidelity", "clinic-c")}
    assert ("accuracy", "clinic-c") not in conditions
    assert 'id="external"' in (last / "report.html").read_text()


def test_an_image_that_was_learned_from_ends_the_run_before_anything_is_made(folder: Path):
    own = next((folder / "images" / "train" / "red").iterdir())
    stolen = folder / "c" / "stolen.png"
    shutil.copy(own, stolen)
    done = run_pupila(folder, "run", "recipe.yaml", code=None)
    stolen.unlink()
    assert done.returncode == 2
    assert "1 of the 41 images of 'clinic-c' are in the run's own data (stolen.png)" in done.stderr
    assert len(list((folder / ".pupila" / "runs" / "elsewhere").glob("2*"))) == 1
