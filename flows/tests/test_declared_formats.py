"""What a plugin made is refused where it is made, unless it is of the format that was declared."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from pupila.artifact import Origin
from pupila.errors import PupilaError
from pupila.spec import InputSpec, OutputSpec
from pupila.testing import ignore_progress, plugin_installed
from pupila_flows.jobs.import_teacher import ImportTeacher
from pupila_flows.jobs.run_step import RunStep
from pupila_flows.workspace import Workspace

OUTPUT = OutputSpec(kind="softmax", classes=("a", "b"))

BEADS = """
from pupila import InputSpec, Loader, OutputSpec, StepResult, Technique, hookimpl

OUTPUT = OutputSpec(kind="softmax", classes=("a", "b"))


def technique(name, function, produces):
    return Technique(
        name=name,
        summary="Makes a string of beads",
        accepts=frozenset({"glass"}),
        produces=produces,
        implementation=f"{__name__}:{function}",
    )


@hookimpl
def pupila_techniques():
    yield technique("honest", "thread", "beads")
    yield technique("liar", "thread", "pearls")
    yield technique("keeper", "thread", "")
    yield technique("silent", "nothing", "beads")


@hookimpl
def pupila_loaders():
    for name, produces in (("honest", "beads"), ("liar", "pearls"), ("refuser", "")):
        yield Loader(
            name=f"load-{name}",
            summary="Reads beads",
            produces=produces,
            recognises=lambda path, name=name: path.name == name,
            implementation=f"{__name__}:load",
        )


def write(folder):
    (folder / "beads.txt").write_text("o-o-o")
    return StepResult(format="beads", input=InputSpec(height=8, width=8), output=OUTPUT)


def thread(step):
    return write(step.output)


def nothing(step):
    write(step.output)


def load(source, output, folder):
    return write(folder)
"""


@pytest.fixture(scope="module", autouse=True)
def beads(tmp_path_factory: pytest.TempPathFactory) -> Generator[None]:
    folder = tmp_path_factory.mktemp("path")
    with plugin_installed(folder, "beads-dist", "declared_beads", BEADS):
        yield


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.at(tmp_path / "workspace")


def glass(workspace: Workspace) -> str:
    """Store an artifact of format `glass`, and return its digest."""
    with workspace.store.draft() as folder:
        (folder / "glass.txt").write_text("O")
        origin = Origin(plugin="glass", distribution="beads-dist", version="1")
        size = InputSpec(height=8, width=8)
        made = workspace.store.add(folder, format="glass", input=size, output=OUTPUT, origin=origin)
    return made.digest


def run(workspace: Workspace, plugin: str) -> str:
    job = RunStep(
        workspace=workspace,
        title=plugin,
        plugin=plugin,
        config={},
        inputs=(glass(workspace),),
        seed=0,
        images=None,
        code=(),
        timeout_minutes=1,
        uses_workers=False,
    )
    return workspace.store.open(job.run(ignore_progress).artifact).format


def read(workspace: Workspace, name: str) -> str:
    source = workspace.root / name
    source.write_text("o-o")
    job = ImportTeacher(
        workspace=workspace, title=name, path=source, sha256="0", output=OUTPUT, code=()
    )
    return workspace.store.open(job.run(ignore_progress).artifact).format


@pytest.mark.parametrize(
    ("plugin", "message"),
    [
        ("liar", "liar of beads-dist made an artifact of format 'beads', but declares 'pearls'"),
        ("keeper", "keeper of beads-dist made .* 'beads', but declares 'glass'"),
        ("silent", "silent of beads-dist returned None, where a StepResult was expected"),
    ],
)
def test_a_step_that_makes_another_format_than_it_declares_is_refused(
    workspace: Workspace, plugin: str, message: str
):
    assert run(workspace, "honest") == "beads"
    with pytest.raises(PupilaError, match=message):
        run(workspace, plugin)


@pytest.mark.parametrize(("name", "declared"), [("liar", "pearls"), ("refuser", "")])
def test_a_loader_that_makes_another_format_than_it_declares_is_refused(
    workspace: Workspace, name: str, declared: str
):
    assert read(workspace, "honest") == "beads"
    message = f"load-{name} of beads-dist made .* 'beads', but declares '{declared}'"
    with pytest.raises(PupilaError, match=message):
        read(workspace, name)
