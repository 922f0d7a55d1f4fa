"""ONNX files become OpenVINO models with the same answers; nothing is reported to anyone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from pupila import Artifact, Config, PupilaError
from pupila.artifact import Origin
from pupila.predictions import open_model
from pupila.store import Store
from pupila.testing import DiscSteps, ExporterContract, RunnerContract, step_for
from pupila_openvino import export as exporting


class TestExportOpenvino(ExporterContract):
    plugin = "export-openvino"
    tolerance = 1e-5


class TestOpenVinoKeepsTheContract(RunnerContract):
    plugin = "openvino"


def layers(artifact: Artifact) -> list[ElementTree.Element]:
    return [*ElementTree.parse(artifact.file(".xml")).iter("layer")]  # noqa: S314 - ours


def test_it_is_a_graph_of_one_raw_image_and_its_weights(openvino_model, steps):
    assert sorted(file.name for file in openvino_model.files) == ["model.bin", "model.xml"]
    (image,) = [layer for layer in layers(openvino_model) if layer.get("type") == "Parameter"]
    assert [axis.text for axis in image.iter("dim")] == ["1", "32", "32", "3"]
    assert image.find("output/port").get("names") == "image"  # pyright: ignore[reportOptionalMemberAccess]
    record, given = openvino_model.record, steps.onnx.record
    assert (record.parameters, record.macs) == (given.parameters, given.macs)


def test_an_int8_file_stays_in_int8_with_the_same_answers(steps):
    exported = steps.make("export-openvino", steps.int8_onnx)
    np.testing.assert_allclose(steps.answers(exported), steps.answers(steps.int8_onnx), atol=5e-3)
    names = [layer.get("type") for layer in layers(exported)]
    assert "FakeQuantize" in names
    stored = {data.get("element_type") for layer in layers(exported) for data in layer.iter("data")}
    assert "i8" in stored, "weights are stored in eight bits"


@pytest.mark.long
def test_a_heat_map_is_exported(tmp_path: Path):
    discs = DiscSteps(tmp_path)
    exported = discs.run("export-openvino", discs.run("export-onnx").artifact).artifact
    assert exported.record.output == discs.student.record.output
    assert discs.shift(exported) < 1e-3


def test_other_answers_are_refused_with_the_difference(steps, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "_TOLERANCE", -1.0)
    step = step_for(Config(), [steps.onnx], tmp_path)
    with pytest.raises(PupilaError, match=r"OpenVINO model's outputs differ .* on 6 drawn"):
        exporting.export(step)


def test_progress_counts_the_images(openvino_model, images):
    reports: list[tuple[int, int, str]] = []

    def listen(done: int, total: int, what: str):
        reports.append((done, total, what))

    open_model(openvino_model).predict(images, listen)
    assert reports == [(done, 6, "images") for done in range(1, 7)]


def test_the_runtime_is_named_with_its_version(openvino_model):
    assert open_model(openvino_model).runtime == f"OpenVINO {version('openvino')}, CPU"


_WATCHED = """
import json, sys
from pathlib import Path
seen = []
def watch(event, arguments):
    writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    outside = writes and not str(arguments[0]).startswith(sys.argv[2])
    outward = ("socket.", "subprocess.", "os.fork", "os.posix_spawn", "urllib.")
    if outside or event.startswith(outward):
        seen.append([event, str(arguments[0])])
sys.dont_write_bytecode = True
sys.addaudithook(watch)
import numpy as np
from pupila_openvino.export import _write
from pupila_openvino.runner import OpenVinoModel
class Given:
    class record:
        from pupila import InputSpec
        input = InputSpec(height=32, width=32)
    def file(self, suffix):
        return Path(sys.argv[1])
target = Path(sys.argv[2]) / "model.xml"
_write(Given(), target)
model = OpenVinoModel(target, 1)
model.predict(np.zeros((1, 32, 32, 3), np.uint8), lambda *call: None)
print(json.dumps({"seen": seen, "memory": model.peak_memory_bytes(),
    "frameworks": [name for name in ("tensorflow", "keras") if name in sys.modules]}))
"""


@pytest.fixture(scope="module")
def watched(steps: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Export and run a model in a process of its own, and return what it did besides."""
    home, output = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("output")
    command = [sys.executable, "-c", _WATCHED, str(steps.onnx.file(".onnx")), str(output)]
    environment = {**os.environ, "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=environment, cwd=output
    )
    written = sorted(path.name for path in output.iterdir())
    return json.loads(done.stdout) | {"home": [*home.rglob("*")], "written": written}


def test_export_and_run_report_nothing_and_write_nothing_else(watched):
    """No connection, no other process (which could make one), no file, no record of a consent."""
    assert watched["seen"] == []
    assert watched["home"] == []
    assert watched["written"] == ["model.bin", "model.xml"]


def test_running_a_model_imports_no_tensorflow_and_has_a_memory_of_its_own(watched):
    assert watched["frameworks"] == []
    assert 20e6 < watched["memory"] < 400e6


def altered(artifact: Artifact, store: Store, old: str, new: str, **files: bytes) -> Artifact:
    """Store a copy of an artifact with another text in its graph."""
    text = artifact.file(".xml").read_text()
    assert old in text
    with store.draft() as folder:
        (folder / "model.xml").write_text(text.replace(old, new))
        (folder / "model.bin").write_bytes(artifact.file(".bin").read_bytes())
        for name, content in files.items():
            (folder / name).write_bytes(content)
        record = artifact.record
        origin = Origin(plugin="x", distribution="x", version="0")
        return store.add(
            folder, format="openvino", input=record.input, output=record.output, origin=origin
        )


ENTITY = '<!DOCTYPE net [<!ENTITY x SYSTEM "file:///etc/passwd">]><net'


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('version="opset8"', 'version="clinic"', r"operators 'SoftMax', which are not OpenVINO"),
        ("<net", ENTITY, r"defines entities"),
        ("<layers>", "<layers", r"it is damaged \(ParseError\)"),
        ('version="opset8"', "", r"it is damaged \(KeyError\)"),
        ('offset="0"', 'offset="99999999"', r"it names [\d,]+ bytes of weights"),
        ("<dim>32</dim>", "<dim>3200000</dim>", r"has values of [\d,]+ bytes together"),
        ("<dim>32</dim>", "<dim>many</dim>", r"it is damaged \(ValueError\)"),
    ],
)
def test_an_unsafe_or_damaged_graph_is_refused_in_one_sentence(
    old, new, complaint, openvino_model, tmp_path
):
    artifact = altered(openvino_model, Store(tmp_path / "store"), old, new)
    with pytest.raises(PupilaError, match=complaint) as refused:
        open_model(artifact, 1)
    assert "model.xml" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_files_besides_graph_and_weights_are_refused(openvino_model, tmp_path):
    store = Store(tmp_path / "store")
    artifact = altered(openvino_model, store, "<net", "<net", extra=b"library")
    with pytest.raises(PupilaError, match=r"has the files 'extra', 'model\.bin', 'model\.xml'"):
        open_model(artifact, 1)


def test_a_graph_that_openvino_cannot_run_is_refused_with_its_reason(openvino_model, tmp_path):
    artifact = altered(
        openvino_model, Store(tmp_path / "store"), 'type="SoftMax"', 'type="Nothing"'
    )
    with pytest.raises(PupilaError, match=r"OpenVINO .* cannot run .*model\.xml") as refused:
        open_model(artifact, 1)
    assert "\n" not in str(refused.value)
