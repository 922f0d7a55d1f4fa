"""The notebook of the examples, as a reader runs it: with few epochs, and nothing left behind."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
from nbclient import NotebookClient

from pupila_flows.api.recipe import Recipe
from pupila_flows.recipe.source import parse_source, read_source

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "examples" / "glaucoma.ipynb"
QUICK = {
    "steps.pupil.with.epochs": 1,
    "steps.pupil.with.augmentation.views": 1,
    "steps.control.with.epochs": 1,
    "steps.control.with.augmentation.views": 1,
}
BEFORE = """
import os
import psutil
environment = dict(os.environ)
threads = psutil.Process().num_threads()
"""
AFTER = """
import json, signal, sys
own = psutil.Process()
print(json.dumps({
    "processes": [child.cmdline() for child in own.children(recursive=True)],
    "variables": sorted(set(environment.items()) ^ set(os.environ.items())),
    "interrupted by": str(signal.getsignal(signal.SIGINT)),
    "imported": [name for name in ("prefect", "tensorflow") if name in sys.modules],
    "verdict": result.verdict, "withheld": result.withheld,
    "accuracy": result.models.loc["tflite-int8", "accuracy"],
    "evaluated": comparison.models.loc["tflite-int8", "accuracy"],
}))
"""


def notebook() -> Any:
    """Return the notebook of the examples."""
    return nbformat.read(NOTEBOOK, as_version=4)  # pyright: ignore - it has no types


def test_the_notebook_has_no_outputs_and_the_recipe_of_the_file(
    monkeypatch: pytest.MonkeyPatch,
):
    cells = [cell for cell in notebook().cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in cells)
    monkeypatch.delenv("PUPILA_DATA", raising=False)
    monkeypatch.delenv("PUPILA_TEACHERS", raising=False)
    names: dict[str, Any] = {}
    for cell in cells[:3]:
        exec(cell.source, names)  # noqa: S102 - ours
    recipe: Recipe = names["recipe"]
    in_file = read_source(ROOT / "examples" / "glaucoma.yaml").text
    for variable, folder in (("PUPILA_DATA", "data"), ("PUPILA_TEACHERS", "teachers")):
        path = f"../../shared/{folder}"
        in_file = in_file.replace(f"${{{variable}:-{path}}}", path)
    written = parse_source(NOTEBOOK, recipe.to_yaml()).value
    assert written == parse_source(NOTEBOOK, in_file).value


def fewer_images(folder: Path, data: Path) -> Path:
    """Make a data folder with one image in four, and return it."""
    folder.mkdir()
    (folder / "glaucoma").symlink_to(data / "glaucoma")
    head, *rows = (data / "glaucoma.csv").read_text().splitlines()
    (folder / "glaucoma.csv").write_text("\n".join([head, *rows[::4]]) + "\n")
    return folder


@pytest.mark.long
def test_the_notebook_runs_and_leaves_nothing_behind(
    tmp_path: Path, shared_data: Path, shared_teachers: Path
):
    given = notebook()
    (settings,) = (cell for cell in given.cells if "parameters" in cell.metadata.get("tags", ()))
    settings.source = f"changes = {QUICK}"
    given.cells.insert(0, nbformat.v4.new_code_cell(BEFORE))  # pyright: ignore - it has no types
    given.cells.append(nbformat.v4.new_code_cell(AFTER))  # pyright: ignore - it has no types
    (tmp_path / "here").mkdir()
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PREFECT")
    } | {
        "PUPILA_DATA": str(fewer_images(tmp_path / "data", shared_data)),
        "PUPILA_TEACHERS": str(shared_teachers),
        "PUPILA_WORKSPACE": str(tmp_path / "workspace"),
    }
    metadata = {"metadata": {"path": str(tmp_path / "here")}}
    NotebookClient(given, timeout=3600, resources=metadata).execute(env=environment)
    *shown, last = [cell for cell in given.cells if cell.cell_type == "code"]
    left = json.loads(last.outputs[0].text)
    accuracy = left.pop("accuracy")
    assert left == {
        "processes": [],
        "variables": [],
        "interrupted by": left["interrupted by"],
        "imported": [],
        "verdict": None,
        "withheld": None,
        "evaluated": pytest.approx(accuracy),
    }
    assert "default_int_handler" in left["interrupted by"]
    assert not any((tmp_path / "here").iterdir())
    marked = [
        process.cmdline()
        for process in psutil.process_iter()
        if str(tmp_path) in " ".join(process.cmdline())
    ]
    assert marked == []
    pages = [
        output.data["text/html"]
        for cell in shown
        for output in cell.outputs
        if "text/html" in output.get("data", {})
    ]
    assert any("<h3>" in page and "tflite-int8" in page for page in pages)
    assert not any("<progress" in page for page in pages)
