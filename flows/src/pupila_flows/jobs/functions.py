"""The work of a run, one function per kind of child process; see `child.call`.

Each takes and returns JSON values, so that it can run anywhere that sees the workspace.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from pupila.artifact import Artifact, Origin
from pupila.contract import OutputContract
from pupila.dataset import Dataset
from pupila.openset import OpenSetImages
from pupila.plugin import StepPlugin
from pupila.registry import Registered, installed
from pupila.runtime import Progress
from pupila.step import Product, Step
from pupila_flows.data.frames import read_dataset
from pupila_flows.execution.step_workers import crew
from pupila_flows.workspace import Workspace


def import_teacher(
    *, progress: Progress, workspace: str, path: str, classes: list[str], output: str
) -> dict[str, Any]:
    """Read a model file into the store: `{"artifact": digest}`."""
    store = Workspace.at(workspace).store
    source = Path(path)
    loader = installed().loader(source)
    contract = OutputContract.model_validate({"kind": output, "classes": classes})
    progress(0, 1, f"reading {source.name}")
    from pupila.digest import digest_tree

    with store.draft() as folder:
        product: Product = loader.load()(source, contract, folder)
        origin = _origin(installed().origin(loader), source=digest_tree(source))
        artifact = store.add(folder, **_fields(product, origin))
    progress(1, 1, f"read {source.name}")
    return {"artifact": artifact.digest}


def adopt_artifact(*, progress: Progress, workspace: str, path: str) -> dict[str, Any]:
    """Take an artifact's folder into the store as it is: `{"artifact": digest}`."""
    source = Path(path)
    progress(0, 1, f"copying {source.name}")
    artifact = Workspace.at(workspace).store.adopt(source)
    progress(1, 1, f"copied {source.name}")
    return {"artifact": artifact.digest}


def run_step(
    *,
    progress: Progress,
    workspace: str,
    key: str,
    plugin: str,
    config: dict[str, Any],
    inputs: list[str],
    seed: int,
    frame: str | None,
    classes: list[str],
    invitation: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Run a technique or exporter on stored artifacts: `{"artifact": digest}`.

    With an `Invitation`, machines of a cluster do parts of it.
    """
    place = Workspace.at(workspace)
    step_plugin = installed().step(plugin)
    with place.store.draft() as folder, crew(place, key, plugin, invitation) as machines:
        step = Step(
            config=step_plugin.config.model_validate(config),
            inputs=tuple(place.store.open(digest) for digest in inputs),
            output=folder,
            scratch=place.scratch(key),
            seed=seed,
            dataset=read_dataset(frame, classes, place.cache) if frame else None,
            predictions=place.predictions,
            progress=progress,
            crew=machines,
        )
        product: Product = step_plugin.load()(step)
        artifact = place.store.add(folder, **_fields(product, _step_origin(step_plugin, step)))
    return {"artifact": artifact.digest}


def judge(
    *,
    progress: Progress,
    workspace: str,
    artifact: str,
    frame: str,
    classes: list[str],
    positive: str,
    specificity: float,
    latency_repeats: int,
    reference: tuple[str, str] | None,
    open_set: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Judge a stored artifact in its runtime: an `Evaluation` as JSON.

    Of one that was never trained, only a `Measurement` is made.
    """
    from pupila.judge import evaluate, measure

    place = Workspace.at(workspace)
    model, dataset = place.store.open(artifact), read_dataset(frame, classes, place.cache)
    if model.record.untrained:
        measured = measure(model, dataset.select("test"), latency_repeats=latency_repeats)
        return measured.model_dump(mode="json")
    evaluation = evaluate(
        model,
        dataset,
        positive=positive,
        specificity=specificity,
        predictions=place.predictions,
        reference=_named(place, reference),
        latency_repeats=latency_repeats,
        open_set=_open_set(place, classes, **open_set) if open_set else None,
        progress=progress,
    )
    return evaluation.model_dump(mode="json")


def _open_set(
    place: Workspace,
    classes: list[str],
    *,
    accepts: str,
    near_misses: str | None,
    corrupted: str | None,
) -> OpenSetImages:
    def read(frame: str | None) -> Dataset | None:
        return read_dataset(frame, classes, place.cache) if frame else None

    return OpenSetImages(accepts, read(near_misses), read(corrupted))


def alter(
    *, progress: Progress, workspace: str, frame: str, classes: list[str], folder: str
) -> dict[str, Any]:
    """Write every alteration of every image: `{"images": folder}`."""
    from pupila_flows.data.open_set.corruptions import write_altered

    dataset = read_dataset(frame, classes, Workspace.at(workspace).cache)
    write_altered(dataset.paths, Path(folder), progress)
    return {"images": folder}


def make_negatives(
    *,
    progress: Progress,
    workspace: str,
    frame: str,
    classes: list[str],
    label: str,
    images: int,
    seed: int,
    folder: str,
) -> dict[str, Any]:
    """Make hard negatives of training images: `{"images": folder}`."""
    from pupila_flows.data.hard_negatives.writing import write_negatives

    train = read_dataset(frame, classes, Workspace.at(workspace).cache)
    write_negatives(train, label, images, seed, Path(folder), progress)
    return {"images": folder}


def attempt(
    *,
    progress: Progress,
    workspace: str,
    artifact: str,
    runtime: str,
    source: str | None,
    frame: str,
    classes: list[str],
    threads: int | None,
    latency_repeats: int,
) -> dict[str, Any]:
    """Try a stored artifact in a runtime: a `Trial` as JSON."""
    from pupila.judge import attempt

    place = Workspace.at(workspace)
    trial = attempt(
        place.store.open(artifact),
        runtime,
        read_dataset(frame, classes, place.cache),
        predictions=place.predictions,
        progress=progress,
        source=place.store.open(source) if source else None,
        threads=threads,
        latency_repeats=latency_repeats,
    )
    return trial.model_dump(mode="json")


def check_data(
    *,
    progress: Progress,
    workspace: str,
    frame: str,
    classes: list[str],
    positive: str,
    bounds: dict[str, Any],
    docs: str,
    source: str,
) -> dict[str, Any]:
    """Validate the scanned manifest: `{"checks": […], "data_docs": path}`."""
    from pupila_flows.data.validation import Bounds, validate

    progress(0, 1, "checking the data")
    dataset = read_dataset(frame, classes, Workspace.at(workspace).cache)
    checks, page = validate(
        dataset.frame, classes, positive, Bounds.model_validate(bounds), Path(docs), source
    )
    progress(1, 1, "checked the data")
    return {"checks": [check.model_dump(mode="json") for check in checks], "data_docs": str(page)}


def screen(
    *,
    progress: Progress,
    workspace: str,
    artifact: str,
    teacher: str,
    accepts: str,
    frame: str,
    classes: list[str],
) -> dict[str, Any]:
    """Ask a gate about every image: `{"check": …}`."""
    from pupila.views import AS_IS
    from pupila_flows.data.validation.screening import doubted

    place = Workspace.at(workspace)
    model, dataset = place.store.open(artifact), read_dataset(frame, classes, place.cache)
    (found,) = place.predictions.in_own_order(model, dataset, AS_IS, progress)
    check = doubted(
        found[:, model.record.output.classes.index(accepts)],
        [str(path) for path in dataset.paths],
        teacher=teacher,
        accepts=accepts,
        threshold=model.record.threshold_of(accepts),
    )
    return {"check": check.model_dump(mode="json")}


def render_report(*, progress: Progress, result: str, folder: str) -> dict[str, Any]:
    """Write the report of a result file, a run's or a sweep's: `{"report": path}`."""
    from pupila_flows.report import write_report
    from pupila_flows.report.sweep import write_sweep
    from pupila_flows.results import RunResult

    progress(0, 1, "drawing the report")
    run = RunResult.model_validate_json(Path(result).read_text())
    page = (write_sweep if run.sweep else write_report)(run, Path(folder))
    progress(1, 1, "drew the report")
    return {"report": str(page)}


def make_synthetic(
    *, progress: Progress, workspace: str, images: str, teacher: str, seed: int
) -> dict[str, Any]:
    """Make the embedded images and teacher: `{"images": path, "teacher": path}`."""
    from pupila_flows.cli.demo import make_synthetic

    make_synthetic(Workspace.at(workspace), Path(images), Path(teacher), seed, progress)
    return {"images": images, "teacher": teacher}


def _fields(product: Product, origin: Origin) -> dict[str, Any]:
    return {each.name: getattr(product, each.name) for each in fields(product)} | {"origin": origin}


def _origin(entry: Registered, **details: Any) -> Origin:
    return Origin(
        plugin=entry.plugin.name,
        distribution=entry.distribution,
        version=entry.version,
        **details,
    )


def _step_origin(plugin: StepPlugin, step: Step[Any]) -> Origin:
    return _origin(
        installed().origin(plugin),
        config=step.config.model_dump(mode="json"),
        seed=step.seed,
        inputs=tuple(artifact.digest for artifact in step.inputs),
        dataset=step.dataset.fingerprint if step.dataset else None,
    )


def _named(place: Workspace, reference: tuple[str, str] | None) -> tuple[str, Artifact] | None:
    return (reference[0], place.store.open(reference[1])) if reference else None
