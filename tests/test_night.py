"""A small clinic on a real server: deployed, retrained, published, refused, rolled back."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pupila.keras_files import import_keras
from pupila_flows.results import Finding, RunResult
from pupila_flows.station.address import LOOPBACK, Address
from pupila_flows.station.deployments import Night, deployments_of
from pupila_flows.station.station import Station, running
from pupila_flows.workspace import Workspace

pytestmark = pytest.mark.long

COLOURS = {"red": (170, 90, 80), "green": (90, 150, 80)}
COUNTS = {"train": 48, "validation": 24, "test": 60}
RECIPE = """\
name: clinic
data:
  path: images
  positive: red
teachers:
  left: {path: "shelf:left"}
  right: {path: "shelf:right"}
steps:
  left-pupil: &pupil
    use: distill
    from: left
    control: false
    with: {student: conv-32-64-8, size: 32, epochs: 12, augmentation: {views: 1}}
  left-float: {use: export-tflite, from: left-pupil}
  left-int8: {use: quantize-int8, from: left-float, with: {calibration_images: 24}}
  right-pupil: {<<: *pupil, from: right}
  right-float: {use: export-tflite, from: right-pupil}
gate:
  judges: [left-int8, right-float]
  margins: {accuracy: 0.1}
  published: {accuracy: 0.1}
publish:
  to: registry
  intended_use: To tell red pictures from green ones.
"""
OF_LEFT = {"left-pupil", "left-float", "left-int8"}
OF_RIGHT = {"right-pupil", "right-float"}


def write_pictures(folder: Path) -> None:
    """Draw noisy pictures of two colours."""
    random = np.random.default_rng(0)
    for split, count in COUNTS.items():
        for label, colour in COLOURS.items():
            (folder / split / label).mkdir(parents=True)
            for number in range(count):
                pixels = np.array(colour) + random.normal(0, 25, (40, 40, 3))
                image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
                image.save(folder / split / label / f"{number:03}.png")


def write_teacher(path: Path, sign: float) -> Path:
    """Write a model that compares red with green; a negative `sign` takes one for the other."""
    keras = import_keras()
    image = keras.Input((32, 32, 3))
    mean = keras.layers.GlobalAveragePooling2D()(image)
    head = keras.layers.Dense(2, activation="softmax")
    model = keras.Model(image, head(mean))
    weights = np.array([[-1, 1], [1, -1], [0, 0]], np.float32) * 0.05 * sign
    head.set_weights([weights, np.zeros(2, np.float32)])
    model.save(path)
    return path


@dataclass(frozen=True)
class Clinic:
    """A folder with images and recipe, and the station that runs it."""

    folder: Path
    station: Station

    def pupila(self, *arguments: str | Path, code: int = 0) -> str:
        """Run the command line as a user would, and return what it says."""
        environment = {key: value for key, value in os.environ.items() if "PREFECT" not in key}
        done = subprocess.run(
            [sys.executable, "-m", "pupila_flows", *map(str, arguments)],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def deployment(self, name: str) -> dict[str, Any]:
        """Return what the server knows of a deployment."""
        return self.station.api.get(f"/deployments/name/compress/{name}")

    def start(self, name: str, **changes: Any) -> str:
        """Start a deployment as the form of the UI does, and return the run's id."""
        deployment = self.deployment(name)
        parameters = deployment["parameters"] | {"changes": changes}
        asked = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        run = self.station.api.post(f"/deployments/{deployment['id']}/create_flow_run", asked)
        return run["id"]

    def runs_of(self, name: str) -> set[str]:
        """Return the ids of all runs of a deployment."""
        wanted = {"flow_runs": {"deployment_id": {"any_": [self.deployment(name)["id"]]}}}
        return {run["id"] for run in self.station.api.post("/flow_runs/filter", wanted)}

    def retrained(self, file: str) -> str:
        """Replace the teacher `left`, and return the run that this starts by itself."""
        known = self.runs_of("clinic-retrained")
        self.pupila("teacher", "add", file, "--name", "left")
        for _ in range(120):
            if new := self.runs_of("clinic-retrained") - known:
                (run,) = new
                return run
            time.sleep(1)
        raise TimeoutError("no run was started")

    def end_of(self, run: str, seconds: float = 900) -> dict[str, Any]:
        """Wait until a run has ended, and return its state."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.station.keep()
            try:
                state = self.station.api.get(f"/flow_runs/{run}")["state"]
            except OSError:  # the server is being started again
                state = {"type": "UNKNOWN"}
            if state["type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"):
                return state
            time.sleep(1)
        raise TimeoutError(f"{run} has not ended: {self.station.worker.tail()}")

    def tasks(self, run: str) -> dict[str, str]:
        """Return the state of every task of a run, by its name in the UI."""
        wanted = {"flow_runs": {"id": {"any_": [run]}}, "limit": 200}
        found = self.station.api.post("/task_runs/filter", wanted)
        return {task["name"].rpartition("-")[0]: task["state"]["name"] for task in found}

    def latest(self) -> RunResult:
        """Return the result of the last run."""
        folder = max((self.folder / ".pupila" / "runs" / "clinic").iterdir())
        return RunResult.model_validate_json((folder / "result.json").read_text())

    def report(self) -> str:
        """Return the report of the last run."""
        folder = max((self.folder / ".pupila" / "runs" / "clinic").iterdir())
        return (folder / "report.html").read_text()

    def current(self) -> int:
        """Return the number of the version that is published."""
        return json.loads((self.folder / "registry" / "clinic" / "current.json").read_text())[
            "version"
        ]


def prepare(folder: Path) -> None:
    """Write images, recipe and three teachers: one, one retrained, and one that has it wrong."""
    write_pictures(folder / "images")
    (folder / "recipe.yaml").write_text(RECIPE)
    for name, sign in (("first", 1), ("right", 1.1), ("retrained", 1.4), ("worse", -1)):
        write_teacher(folder / f"{name}.keras", sign)


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        return taken.getsockname()[1]


@contextmanager
def opened(folder: Path) -> Generator[Clinic]:
    """Put two teachers on the shelf, and keep a station up."""
    place = Workspace.at(folder / ".pupila")
    for name, file in (("left", "first"), ("right", "right")):
        added = [sys.executable, "-m", "pupila_flows", "teacher", "add", f"{file}.keras"]
        added += ["--name", name, "--classes", "green,red"]
        subprocess.run(added, cwd=folder, check=True, capture_output=True)
    deployments = deployments_of([folder / "recipe.yaml"], place.root, Night())
    with running(place, Address(LOOPBACK, free_port()), deployments) as station:
        yield Clinic(folder, station)


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Generator[Clinic]:
    folder = tmp_path_factory.mktemp("clinic")
    prepare(folder)
    with opened(folder) as found:
        yield found


def test_a_run_started_through_the_api_publishes_the_first_version(clinic: Clinic):
    run = clinic.start("clinic-on-demand", publish={"limits": "Pictures of two colours."})
    state = clinic.end_of(run)
    assert state["type"] == "COMPLETED", state["message"]
    assert clinic.current() == 1
    card = clinic.folder / "registry" / "clinic" / "versions" / "000001" / "card.md"
    assert "Pictures of two colours." in card.read_text()
    assert "is whole" in clinic.pupila("verify", "clinic", "--registry", "registry")


def test_an_unchanged_night_makes_nothing_and_publishes_nothing(clinic: Clinic):
    run = clinic.start("clinic-nightly", publish={"limits": "Pictures of two colours."})
    assert clinic.end_of(run)["type"] == "COMPLETED"
    tasks = clinic.tasks(run)
    assert {tasks[name] for name in OF_LEFT | OF_RIGHT} == {"Cached"}
    assert all(entry.cached for entry in clinic.latest().entries)
    assert clinic.current() == 1


def test_a_retrained_teacher_starts_a_run_by_itself_of_what_depends_on_it(clinic: Clinic):
    run = clinic.retrained("retrained.keras")
    assert clinic.end_of(run)["type"] == "COMPLETED"
    tasks = clinic.tasks(run)
    assert {tasks[name] for name in OF_LEFT} == {"Completed"}
    assert {tasks[name] for name in OF_RIGHT} == {"Cached"}
    assert clinic.current() == 2


def test_a_worse_teacher_is_stopped_by_the_gate_and_the_report_says_why(clinic: Clinic):
    state = clinic.end_of(clinic.retrained("worse.keras"))
    assert state["type"] == "FAILED"
    assert "left-int8" in state["message"] and "gate" in state["message"]
    result = clinic.latest()
    assert result.gate and result.gate.verdict == "fail"
    verdicts = {each.entry: each.verdict for each in result.gate.artifacts}
    assert verdicts == {"left-int8": "fail", "right-float": "pass"}
    assert result.publication and result.publication.version is None
    report = clinic.report()
    assert all(finding.text in unescape(report) for finding in failed(result))
    assert clinic.current() == 2


def test_a_rollback_brings_the_first_version_back_and_history_tells_all(clinic: Clinic):
    asked = ("--to", "1", "--reason", "The second is doubted.", "--registry", "registry")
    clinic.pupila("rollback", "clinic", *asked)
    assert clinic.current() == 1
    history = clinic.pupila("history", "clinic", "--registry", "registry")
    assert "The second is doubted." in history
    assert "left-int8" in clinic.pupila("diff", "clinic", "1", "2", "--registry", "registry")


def failed(result: RunResult) -> list[Finding]:
    """Return what kept a run from being published."""
    verdicts = result.gate.artifacts if result.gate else ()
    return [each for verdict in verdicts for each in verdict.findings if each.verdict == "fail"]
