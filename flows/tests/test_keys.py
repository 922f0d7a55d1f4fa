"""What computes is in the key of whatever it computes."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from importlib import invalidate_caches
from inspect import isabstract
from pathlib import Path
from typing import Any, get_args

import pytest
from test_job import all_jobs

from pupila import requirements
from pupila.artifact import Artifact, Origin
from pupila.dataset import Dataset
from pupila.errors import PupilaError
from pupila.pixel_scaling import Preprocess
from pupila.plugin_registry import installed
from pupila.spec import InputSpec, OutputSpec
from pupila.testing import CLASSES, draw_images, plugin_installed, read_images
from pupila_flows import machine
from pupila_flows.execution.job import Job
from pupila_flows.jobs.artifact_job import StoredArtifact
from pupila_flows.jobs.check_data import CheckData
from pupila_flows.jobs.check_runtime import CheckRuntime
from pupila_flows.jobs.evaluate import Evaluate
from pupila_flows.jobs.evaluate_external import EvaluateExternal
from pupila_flows.jobs.evaluate_shift import EvaluateShift
from pupila_flows.jobs.import_teacher import ImportTeacher
from pupila_flows.jobs.run_step import RunStep
from pupila_flows.jobs.screen import Screen
from pupila_flows.jobs.synthetic import MakeSynthetic
from pupila_flows.plan.expand import Node
from pupila_flows.plan.plan import PlannedTeacher
from pupila_flows.recipe.schema import DataSection, EvaluateSection, ScreenSection
from pupila_flows.recipe.shift import ShiftSection
from pupila_flows.workspace import Workspace

OUTPUT = OutputSpec(kind="softmax", classes=CLASSES)

RUNTIME = """
from pupila import Exporter, Loader, Runner, Technique, hookimpl


@hookimpl
def pupila_runners():
    yield Runner(
        name="abacus", summary="Counts beads", format="beads", implementation="nowhere:nothing"
    )


@hookimpl
def pupila_loaders():
    yield Loader(
        name="load-beads",
        summary="Reads beads",
        produces="beads",
        recognises=lambda path: path.suffix == ".beads",
        implementation="nowhere:nothing",
    )


@hookimpl
def pupila_techniques():
    yield Technique(
        name="polish",
        summary="Polishes beads",
        accepts=frozenset({"beads"}),
        produces="beads",
        implementation="nowhere:nothing",
    )
"""
"""All of it computes with the package `beadwork`."""

LEARNS = """
from pupila import Exporter, Technique, hookimpl


@hookimpl
def pupila_techniques():
    yield Technique(
        name="learn",
        summary="Learns from beads",
        accepts=frozenset({"beads"}),
        produces="keras",
        needs_data=True,
        implementation="nowhere:nothing",
    )


@hookimpl
def pupila_exporters():
    yield Exporter(
        name="photograph",
        summary="Takes a picture of beads",
        accepts=frozenset({"beads"}),
        produces="picture",
        implementation="nowhere:nothing",
    )
"""
"""From a package of its own, which does not require `beadwork`."""


@contextmanager
def packages(folder: Path, **installed_versions: str) -> Generator[None]:
    """Install two plugins, the package that one of them computes with, and others, as metadata."""
    for name, version in ({"beadwork": "1.0"} | installed_versions).items():
        metadata = folder / f"{name}-{version}.dist-info"
        metadata.mkdir(parents=True)
        text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        (metadata / "METADATA").write_text(text)
    sys.path.insert(0, str(folder))
    invalidate_caches()
    try:
        with (
            plugin_installed(folder / "a", "runtime-dist", "beads_a", RUNTIME, "1", ["beadwork"]),
            plugin_installed(folder / "b", "learns-dist", "beads_b", LEARNS),
        ):
            yield
    finally:
        sys.path.remove(str(folder))
        requirements.forget()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.at(tmp_path / "workspace")


@pytest.fixture
def dataset(tmp_path: Path, workspace: Workspace) -> Dataset:
    return read_images(draw_images(tmp_path / "images", images=1), workspace.cache)


@pytest.fixture
def beads(workspace: Workspace) -> Artifact:
    with workspace.store.draft() as folder:
        (folder / "beads.txt").write_text("o-o")
        origin = Origin(plugin="beads", distribution="runtime-dist", version="1")
        size = InputSpec(height=8, width=8)
        return workspace.store.add(folder, format="beads", input=size, output=OUTPUT, origin=origin)


def step(workspace: Workspace, name: str, dataset: Dataset, beads: Artifact) -> RunStep:
    plugin = installed().step(name)
    node = Node(
        name=name,
        step=name,
        plugin=plugin,
        config=plugin.config(),
        inputs=("beads",),
        exclude={},
        seed=0,
        timeout_minutes=1,
        retries=0,
        settings={},
        seeded=False,
    )
    return RunStep.of(workspace, node, dataset).on([StoredArtifact.of(beads)])


def keys(
    workspace: Workspace, dataset: Dataset, beads: Artifact, threads: int = 2
) -> dict[str, str]:
    """Return the key of many a job, by a name for it."""
    section, runner = EvaluateSection(), installed().runner("beads")
    source = workspace.root / "teacher.beads"
    source.write_text("o-o")
    teacher = PlannedTeacher("teacher", source, "beads", OUTPUT)
    screen = ScreenSection(teacher="teacher", accepts=CLASSES[0])
    data = DataSection(path=str(workspace.root))
    jobs: dict[str, Job[Any]] = {
        "read": ImportTeacher.of(workspace, teacher),
        "polish": step(workspace, "polish", dataset, beads),
        "learn": step(workspace, "learn", dataset, beads),
        "photograph": step(workspace, "photograph", dataset, beads),
        "evaluate": Evaluate.of(workspace, "beads", beads, dataset, CLASSES[0], section),
        "evaluate elsewhere": EvaluateExternal.of(
            workspace, "beads", beads, dataset, positive=CLASSES[0], specificity=0.85
        ),
        "try": CheckRuntime.of(workspace, "beads", beads, runner, dataset, None, section, None),
        "shift": EvaluateShift.of(
            *(workspace, "beads", beads, ("teacher", beads), dataset, CLASSES[0], ShiftSection()),
            whole=False,
        ),
        "screen": Screen.of(workspace, screen, beads, dataset),
        "check": CheckData.of(workspace, dataset, data, "images"),
        "draw": MakeSynthetic.of(workspace, 0, {}),
    }
    return {name: job.with_threads(threads).key for name, job in jobs.items()}


def test_only_a_scaling_of_pixels_is_in_the_key_of_an_import(tmp_path: Path, workspace: Workspace):
    source = tmp_path / "teacher.keras"
    source.write_bytes(b"PK")
    plain = PlannedTeacher("teacher", source, "keras", OUTPUT)
    names = get_args(Preprocess)
    jobs = [ImportTeacher.of(workspace, replace(plain, preprocess=name)) for name in names]
    assert "preprocess" not in jobs[0].identity()
    assert [job.identity()["preprocess"] for job in jobs[1:]] == [*names[1:]]
    assert len({job.key for job in jobs}) == len(jobs)


def test_a_loader_that_builds_no_scaling_in_is_not_asked_to(tmp_path: Path, workspace: Workspace):
    source = tmp_path / "teacher.beads"
    source.write_text("o-o")
    with (
        packages(tmp_path),
        pytest.raises(PupilaError, match="builds no scaling in: put it in"),
    ):
        ImportTeacher.of(
            workspace, PlannedTeacher("teacher", source, "beads", OUTPUT, preprocess="scale")
        )


def test_another_version_of_a_plugins_requirement_makes_and_evaluates_again(
    tmp_path: Path, workspace: Workspace, dataset: Dataset, beads: Artifact
):
    with packages(tmp_path / "old"):
        before = keys(workspace, dataset, beads)
        assert keys(workspace, dataset, beads) == before
    with packages(tmp_path / "new", beadwork="1.1"):
        after = keys(workspace, dataset, beads)
        assert machine.versions()["beadwork"] == "1.1"
    changed = {name for name in before if before[name] != after[name]}
    computing = {"read", "polish", "learn", "evaluate", "evaluate elsewhere", "try", "screen"}
    assert changed == {*computing, "shift"}


@pytest.mark.parametrize("library", ["numpy", "pillow"])
def test_another_version_of_what_core_requires_does_everything_again(
    tmp_path: Path, workspace: Workspace, dataset: Dataset, beads: Artifact, library: str
):
    with packages(tmp_path / "old"):
        before = keys(workspace, dataset, beads)
    with packages(tmp_path / "new", **{library: "99.0"}):
        after = keys(workspace, dataset, beads)
    assert {name for name in before if before[name] == after[name]} == set()


def test_another_number_of_threads_does_again_what_asks_or_trains_a_model(
    tmp_path: Path, workspace: Workspace, dataset: Dataset, beads: Artifact
):
    with packages(tmp_path / "path"):
        before, after = (keys(workspace, dataset, beads, threads) for threads in (2, 1))
    assert {name for name in before if before[name] == after[name]} == {"check"}


def test_every_job_that_computes_has_its_code_in_its_key():
    whole = {job for job in all_jobs() if not isabstract(job)}
    without = {job.__name__ for job in whole if "code" not in job.model_fields}
    assert without == {"AdoptArtifact", "Publish"}


def test_every_job_that_trains_or_asks_a_model_has_the_number_of_threads_in_its_key():
    """A job that is new must say of itself whether it does."""
    whole = {job for job in all_jobs() if not isabstract(job)}
    assert {job.__name__ for job in whole if not job.runs_models} == {
        *("AdoptArtifact", "AskGate", "CheckData", "CompareExternal", "DrawReport"),
        *("MakeCorruptions", "MakeHardNegatives", "Publish"),
    }


METRIC = """
from pupila import Metric, hookimpl


@hookimpl
def pupila_metrics():
    yield Metric(name="sure", summary="Highest probability", implementation="sure:sure", title="s")
"""


def test_another_version_of_a_metric_evaluates_again(
    tmp_path: Path, workspace: Workspace, dataset: Dataset, beads: Artifact
):
    known: list[dict[str, str]] = []
    for version in ("1.0", "1.1"):
        with (
            packages(tmp_path / version),
            plugin_installed(tmp_path / f"metric {version}", "sure", "sure", METRIC, version),
        ):
            known.append(keys(workspace, dataset, beads))
    before, after = known
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"evaluate", "evaluate elsewhere"}
