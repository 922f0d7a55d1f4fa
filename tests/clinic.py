"""A small clinic: pictures of two colours, a teacher store, a station that runs a recipe."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from command_line import run_pupila
from PIL import Image

from pupila.keras_files import import_keras
from pupila_flows.results import RunResult
from pupila_flows.station.address import LOOPBACK, listen_address
from pupila_flows.station.deployments import deployments_of
from pupila_flows.station.night import Night
from pupila_flows.station.station import Station, running
from pupila_flows.workspace import Workspace

COLOURS = {"red": (170, 90, 80), "green": (90, 150, 80)}
CLASSES = ("--classes", "green,red")
COUNTS = {"train": 48, "validation": 24, "test": 60}
RECIPE = """\
name: clinic
data:
  path: images
  positive: red
teachers:
  left: {path: "teacher:left"}
  right: {path: "teacher:right"}
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
  steps: [left-int8, right-float]
  margins: {accuracy: 0.1}
  fidelity: null  # twelve epochs on two plain colours: what is tested is the station
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


def write_teacher(path: Path, sharpness: float, lean: float = 0) -> Path:
    """Write a model that compares red with green; with a large `lean` it calls all green."""
    keras = import_keras()
    image = keras.Input((32, 32, 3))
    mean = keras.layers.GlobalAveragePooling2D()(image)
    head = keras.layers.Dense(2, activation="softmax")
    model = keras.Model(image, head(mean))
    weights = np.array([[-1, 1], [1, -1], [0, 0]], np.float32) * 0.05 * sharpness
    head.set_weights([weights, np.array([lean, 0], np.float32)])
    model.save(path)
    return path


def pupila(
    folder: Path, *arguments: str | Path, code: int | None = 0
) -> subprocess.CompletedProcess[str]:
    """Run a command with a Prefect database in the folder; `code` as for `run_pupila`."""
    home = {"PREFECT_HOME": str(folder / "prefect")}
    return run_pupila(folder, *arguments, code=code, environment=home, timeout=400)


@dataclass(frozen=True)
class Clinic:
    """A folder with images and recipe, and the station that runs it."""

    folder: Path
    station: Station

    def pupila(self, *arguments: str | Path) -> str:
        """Run the command line in the clinic's folder, and return what it says."""
        return pupila(self.folder, *arguments).stdout

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
            self.station.ensure_running()
            try:
                state = self.station.api.get(f"/flow_runs/{run}")["state"]
            except OSError:  # the server is being started again
                state = {"type": "UNKNOWN"}
            if state["type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"):
                return state
            time.sleep(1)
        raise TimeoutError(f"{run} has not ended: {self.station.worker.tail()}")

    def tasks(self, run: str) -> dict[str, str]:
        """Return the last state of every task of a run, by its name in the UI."""
        wanted = {"flow_runs": {"id": {"any_": [run]}}, "sort": "EXPECTED_START_TIME_ASC"}
        runs = self.station.api.post("/task_runs/filter", wanted)
        begun = [task for task in runs if task["state"]]
        return {task["name"].rpartition("-")[0]: task["state"]["name"] for task in begun}

    def fired(self) -> list[str]:
        """Return the names of the template's automations that have fired, in order."""
        asked = {"event": {"name": ["prefect.automation.triggered"]}, "order": "ASC"}
        events = self.station.api.post("/events/filter", {"filter": asked})["events"]
        names = [resource["resource"]["prefect.resource.name"] for resource in events]
        return [name for name in names if name.startswith("Pupila")]

    def latest(self) -> RunResult:
        """Return the result of the last run."""
        folder = (self.folder / ".pupila" / "runs" / "clinic" / "latest").resolve()
        return RunResult.model_validate_json((folder / "result.json").read_text())

    def report(self) -> str:
        """Return the report of the last run."""
        folder = (self.folder / ".pupila" / "runs" / "clinic" / "latest").resolve()
        return (folder / "report.html").read_text()

    def current(self) -> int:
        """Return the number of the version that is published."""
        return json.loads((self.folder / "registry" / "clinic" / "current.json").read_text())[
            "version"
        ]


def prepare(folder: Path) -> None:
    """Write images, recipe and three teachers: one, one retrained, and one that is worse."""
    write_pictures(folder / "images")
    (folder / "recipe.yaml").write_text(RECIPE)
    for name, sharpness in (("first", 1), ("right", 1.1), ("retrained", 1.4)):
        write_teacher(folder / f"{name}.keras", sharpness)
    write_teacher(folder / "worse.keras", 1, lean=12)


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        return taken.getsockname()[1]


@contextmanager
def opened(folder: Path) -> Generator[Clinic]:
    """Add two teachers to the store, and keep a station up."""
    workspace = Workspace.at(folder / ".pupila")
    for name, file in (("left", "first"), ("right", "right")):
        pupila(folder, "teacher", "add", f"{file}.keras", "--name", name, *CLASSES)
    deployments = deployments_of([folder / "recipe.yaml"], workspace.root, Night())
    address = listen_address(workspace.root, LOOPBACK, free_port())
    with running(workspace, address, deployments) as station:
        yield Clinic(folder, station)
