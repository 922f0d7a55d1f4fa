"""Writes the demo's recipe; the images and the teacher are all real or all synthetic."""

from __future__ import annotations

import json
import os
from pathlib import Path
from string import Template

from pupila.errors import PupilaError
from pupila.store import write_atomically
from pupila_flows.execution.session import perform, session
from pupila_flows.jobs.synthetic import MakeSynthetic
from pupila_flows.workspace import Workspace

_SEED = 20
_COUNTS = {"train": 300, "validation": 60, "test": 60}
"""Synthetic images of each class in each split."""

_RECIPE = Template("""\
# Written by `pupila demo`; `pupila run` takes it as well.
name: $name
seed: 7
data:
  path: $data
  positive: glaucoma
teachers:
  teacher:
    path: $teacher
    classes: [glaucoma, normal]
steps:
  pupil: {use: distill, from: teacher, with: {student: mobile-xs, size: 96, epochs: 20}}
  tflite: {use: export-tflite, from: pupil}
  float16: {use: quantize-float16, from: tflite}
  dynamic: {use: quantize-dynamic, from: tflite}
  int8: {use: quantize-int8, from: tflite}
  tfjs: {use: export-tfjs, from: pupil, with: {weights: uint8}}
""")


def prepare(workspace: Workspace) -> Path:
    """Write the demo's recipe and return its path.

    The images and the teacher are real if PUPILA_DATA and PUPILA_TEACHERS are set, and synthetic
    otherwise.

    Raises:
        PupilaError: a file that the demo needs is missing in the folders that these variables name.
    """
    real = _real()
    data, teacher = real or _synthetic(workspace)
    recipe = workspace.root / "demo.yaml"
    text = _RECIPE.substitute(
        name="demo" if real else "demo-synthetic",
        data=json.dumps(str(data)),  # quoted as YAML reads it, whatever is in the path
        teacher=json.dumps(str(teacher)),
    )
    write_atomically(recipe, text.encode())
    return recipe


def _real() -> tuple[Path, Path] | None:
    """Return the images and the teacher in the folders of the variables; None if one is unset."""
    data, teachers = os.environ.get("PUPILA_DATA"), os.environ.get("PUPILA_TEACHERS")
    if not (data and teachers):
        return None
    images = Path(data).resolve() / "glaucoma.csv"
    teacher = Path(teachers).resolve() / "efficientnet_lite0.keras"
    for variable, path in (("PUPILA_DATA", images), ("PUPILA_TEACHERS", teacher)):
        if not path.exists():
            raise PupilaError(
                f"{variable} is set, but {str(path)!r} is missing: correct it, or unset it to run "
                "the demo on synthetic images."
            )
    return images, teacher


def _synthetic(workspace: Workspace) -> tuple[Path, Path]:
    """Make the synthetic images and teacher, unless they were made before."""
    with session(workspace, workers=1):
        made = perform(MakeSynthetic.of(workspace, _SEED, _COUNTS)).value
    return made.images, made.teacher
