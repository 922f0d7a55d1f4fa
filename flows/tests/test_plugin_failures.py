"""Whatever the code of a plugin raises names the plugin, its package and version, and a log."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from pupila.artifact import Origin
from pupila.spec import InputSpec, OutputSpec
from pupila.testing import CLASSES, draw_images, plugin_installed, read_images
from pupila_flows.execution.child import ChildFailed
from pupila_flows.execution.job import Job
from pupila_flows.execution.session import perform, session
from pupila_flows.jobs.evaluate import Evaluate
from pupila_flows.jobs.import_teacher import ImportTeacher
from pupila_flows.jobs.run_step import RunStep
from pupila_flows.recipe.schema import EvaluateSection
from pupila_flows.workspace import Workspace

OUTPUT = OutputSpec(kind="softmax", classes=CLASSES)

CODE = """
from pathlib import Path

from pydantic import field_validator

from pupila import Config, Loader, Runner, Technique, hookimpl


class Strict(Config):
    colour: str = "red"

    @field_validator("colour")
    @classmethod
    def _is_short(cls, colour):
        return colour if colour != "blue" else len(5)

    def check_inputs(self, count):
        if self.colour == "green":
            raise KeyError("green")


@hookimpl
def pupila_techniques():
    for name in ("raises", "takes_two", "leaves", "missing"):
        yield Technique(
            name=name,
            summary="Fails",
            config=Strict,
            accepts=frozenset({"glass"}),
            produces="glass",
            implementation=f"{__name__}:{name}",
        )


@hookimpl
def pupila_loaders():
    yield Loader(
        name="load-glass",
        summary="Reads glass",
        produces="glass",
        recognises=lambda path: path.suffix == ".glass",
        implementation=f"{__name__}:raises",
    )
    yield Loader(
        name="load-sand",
        summary="Reads sand",
        produces="glass",
        recognises=lambda path: path.suffix == ".sand" and path.grain,
        implementation=f"{__name__}:raises",
    )


@hookimpl
def pupila_runners():
    yield Runner(name="lens", summary="Looks", format="glass", implementation=f"{__name__}:Lens")


def raises(*arguments):
    return len(5)


def takes_two(step, other):
    pass


def leaves(step):
    raise SystemExit(3)


class Lens:
    runtime = "lens"

    def __init__(self, artifact, threads):
        pass

    def latency_ms(self, *arguments):
        return raises()

    def peak_memory_bytes(self):
        return None

    def close(self):
        pass
"""

RECIPE = """\
name: glass
data: {path: images}
teachers: {big: {path: big.%s, classes: [square, triangle]}}
steps:
  broken: {use: raises, from: big, with: {colour: %s}}
"""


@pytest.fixture(scope="module", autouse=True)
def path(tmp_path_factory: pytest.TempPathFactory) -> Generator[Path]:
    folder = tmp_path_factory.mktemp("path")
    with plugin_installed(folder, "glass-dist", "failing_glass", CODE, version="2.1"):
        yield folder


@pytest.fixture
def workspace(tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("PYTHONPATH", str(path))
    return Workspace.at(tmp_path / "workspace")


def glass(workspace: Workspace) -> str:
    with workspace.store.draft() as folder:
        (folder / "glass.txt").write_text("O")
        origin = Origin(plugin="glass", distribution="glass-dist", version="1")
        size = InputSpec(height=8, width=8)
        return workspace.store.add(
            folder, format="glass", input=size, output=OUTPUT, origin=origin
        ).digest


def step(workspace: Workspace, plugin: str) -> RunStep:
    return RunStep(
        workspace=workspace,
        title=f"step-{plugin}",
        plugin=plugin,
        config={},
        inputs=(glass(workspace),),
        seed=0,
        images=None,
        code=(),
        timeout_minutes=1,
        uses_workers=False,
    )


def read(workspace: Workspace) -> ImportTeacher:
    source = workspace.root / "big.glass"
    source.write_text("O")
    return ImportTeacher(
        workspace=workspace, title="big", path=source, sha256="0", output=OUTPUT, code=()
    )


def evaluate(workspace: Workspace) -> Evaluate:
    images = draw_images(workspace.root / "images", images=2)
    model = workspace.store.open(glass(workspace))
    dataset = read_images(images, workspace.cache)
    return Evaluate.of(workspace, "pupil", model, dataset, CLASSES[0], EvaluateSection())


JOBS: dict[str, Callable[[Workspace], Job[Any]]] = {
    "Technique 'raises' of glass-dist 2.1 raised TypeError: object of type 'int' has no len(), in "
    "'step-raises'. Its log: ": lambda workspace: step(workspace, "raises"),
    "Technique 'takes_two' of glass-dist 2.1 raised TypeError: takes_two() missing 1 required "
    "positional argument: 'other', in 'step-takes_two'. ": lambda workspace: step(
        workspace, "takes_two"
    ),
    "Technique 'leaves' of glass-dist 2.1 called sys.exit(3) in ": lambda workspace: step(
        workspace, "leaves"
    ),
    "Technique 'missing' of glass-dist 2.1 raised AttributeError: module 'failing_glass' has no "
    "attribute 'missing', in 'step-missing'. ": lambda workspace: step(workspace, "missing"),
    "Loader 'load-glass' of glass-dist 2.1 raised TypeError: object of type 'int' has no len(), in "
    "'big'. ": read,
    "Runner 'lens' of glass-dist 2.1 raised TypeError: object of type 'int' has no len(), in "
    "'evaluate-pupil'. ": evaluate,
}


@pytest.mark.parametrize(("message", "make"), JOBS.items(), ids=[text[:24] for text in JOBS])
def test_a_job_says_whose_code_failed_and_its_log_has_the_traceback(
    workspace: Workspace, message: str, make: Callable[[Workspace], Job[Any]]
):
    with session(workspace, workers=1), pytest.raises(ChildFailed) as raised:
        perform(make(workspace))
    text = str(raised.value)
    assert text.startswith(message)
    log = Path(text.partition("Its log: ")[2].splitlines()[0])
    assert "Traceback (most recent call last)" in log.read_text()
    assert "Traceback" not in text


@pytest.mark.parametrize(
    ("suffix", "colour", "message"),
    [
        ("glass", "blue", "Technique 'raises' of glass-dist 2.1 raised TypeError: object of type"),
        ("glass", "green", "Technique 'raises' of glass-dist 2.1 raised KeyError: 'green'"),
        ("sand", "red", "Loader 'load-sand' of glass-dist 2.1 raised AttributeError: "),
    ],
)
def test_a_command_says_whose_code_failed_in_one_line(
    tmp_path: Path, path: Path, suffix: str, colour: str, message: str
):
    draw_images(tmp_path / "images", images=1)
    (tmp_path / f"big.{suffix}").write_text("O")
    (tmp_path / "recipe.yaml").write_text(RECIPE % (suffix, colour))
    ended = subprocess.run(
        [sys.executable, "-m", "pupila_flows", "check", "recipe.yaml"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(path), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 1, ended.stdout + ended.stderr
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"error: {message}")
    log = re.search(r"\. Its log: (\S+)$", line)
    assert log
    assert "failing_glass.py" in Path(log[1]).read_text()
