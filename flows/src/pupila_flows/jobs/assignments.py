"""What each part of a run comes down to: its `Work`, and what the result depends on."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pupila.artifact import Artifact
from pupila.dataset import GROUP_COLUMNS, Dataset
from pupila.digest import digest_json, digest_tree
from pupila.evaluation import Evaluation, Metrics
from pupila.judge import cpu_name
from pupila.openset import OpenSetImages
from pupila.plugin import Runner
from pupila.registry import Registered, installed
from pupila_flows.data import exclude as parts
from pupila_flows.data import generated as made
from pupila_flows.data.frames import write_frame
from pupila_flows.data.hard_negatives.kinds import KINDS
from pupila_flows.data.open_set import corruptions
from pupila_flows.execution.session import Outcome, Work
from pupila_flows.jobs import functions as jobs
from pupila_flows.plan.graph import Node
from pupila_flows.plan.plan import PlannedTeacher
from pupila_flows.recipe.schema import (
    DataSection,
    EvaluateSection,
    HardNegativesSection,
    ScreenSection,
)
from pupila_flows.results import Check, DataSummary
from pupila_flows.workspace import Workspace

_IMPORT_SECONDS = 1800.0
"""Far more than any model takes: libraries may read a damaged file forever."""
_JUDGE_SECONDS = 3600.0
_REPORT_SECONDS = 600.0
_JUDGED = [*Evaluation.model_fields, *Metrics.model_fields]
"""Where there is a figure more, what was judged before is judged again."""


def check_data(place: Workspace, dataset: Dataset, section: DataSection, source: str) -> Work:
    """Validate the data against the bounds of the recipe."""
    frame = write_frame(dataset.frame, place.cache)
    bounds = section.expectations.model_dump(mode="json")
    positive = positive_class(section, dataset)
    identity = [frame.stem, list(dataset.classes), positive, bounds, version("pupila-flows")]
    return Work(
        title="check-data",
        target=jobs.check_data,
        identity=identity,
        arguments={
            "workspace": str(place.root),
            "frame": str(frame),
            "classes": list(dataset.classes),
            "positive": positive,
            "bounds": bounds,
            "docs": str(place.root / "data-docs" / digest_json(identity)[:16]),
            "source": source,
        },
    )


def screen(place: Workspace, section: ScreenSection, gate: Artifact, dataset: Dataset) -> Work:
    """Ask a gate about every image.

    Raises:
        PupilaError: no installed plugin runs its format.
    """
    frame = write_frame(dataset.frame, place.cache)
    runner = installed().origin(installed().runner(gate.format))
    arguments = {"artifact": gate.digest, **section.model_dump()}
    versions = [version("pupila-core"), version("pupila-flows")]
    return Work(
        title="screen",
        target=jobs.screen,
        identity=[*_code(runner), *versions, frame.stem, arguments],
        arguments=arguments
        | {"workspace": str(place.root), "frame": str(frame), "classes": list(dataset.classes)},
        timeout_seconds=_JUDGE_SECONDS,
    )


def import_teacher(place: Workspace, teacher: PlannedTeacher) -> Work:
    """Read a teacher into the store, or take it over where it is an artifact."""
    if teacher.artifact:
        return _adopt(place, teacher.name, teacher.artifact)
    contract = teacher.contract
    loader = installed().origin(installed().loader(teacher.path))
    return Work(
        title=teacher.name,
        target=jobs.import_teacher,
        identity=[
            *_code(loader),
            digest_tree(teacher.path),
            list(contract.classes),
            contract.kind,
        ],
        arguments={
            "workspace": str(place.root),
            "path": str(teacher.path),
            "classes": list(contract.classes),
            "output": contract.kind,
        },
        timeout_seconds=_IMPORT_SECONDS,
    )


def _adopt(place: Workspace, title: str, artifact: Artifact) -> Work:
    return Work(
        title=title,
        target=jobs.adopt_artifact,
        identity=[artifact.digest],
        arguments={"workspace": str(place.root), "path": str(artifact.path)},
        timeout_seconds=_IMPORT_SECONDS,
    )


def run_step(place: Workspace, node: Node, dataset: Dataset) -> Work:
    """Run a node of the graph; its inputs are given later, by `Work.on`.

    It is given neither the test images, as no step can learn from them or need them, nor those
    that it is to be without.
    """
    plugin, config = node.plugin, node.config.model_dump(mode="json")
    seen = parts.shown(dataset, node.without)
    frame = write_frame(seen.frame, place.cache) if plugin.needs_data else None
    work = Work(
        title=node.name,
        target=jobs.run_step,
        identity=[
            *_code(installed().origin(plugin)),
            *(_code(installed().origin(each)) for each in node.config.uses()),
            version("pupila-core"),
            config,
            node.seed,
            seen.fingerprint if plugin.needs_data else None,
        ],
        arguments={
            "workspace": str(place.root),
            "plugin": plugin.name,
            "config": config,
            "seed": node.seed,
            "frame": str(frame) if frame else None,
            "classes": list(dataset.classes),
        },
        timeout_seconds=60 * node.timeout_minutes,
        spreads=plugin.spreads,
    )
    return work.on([])


def judge(
    place: Workspace,
    title: str,
    artifact: Artifact,
    dataset: Dataset,
    positive: str,
    section: EvaluateSection,
    reference: tuple[str, str] | None = None,
    open_set: OpenSetImages | None = None,
) -> Work:
    """Evaluate an artifact; `reference` is the name and digest of what it should agree with.

    With `open_set`, it is judged as a gate too. A time belongs to the processor that it was taken
    on, so another one judges anew.

    Raises:
        PupilaError: no installed plugin runs its format.
    """
    frame = write_frame(dataset.frame, place.cache)
    runner = installed().runner(artifact.format)
    groups = {name: dataset.frame[name].tolist() for name in GROUP_COLUMNS if name in dataset.frame}
    arguments: dict[str, Any] = {
        "artifact": artifact.digest,
        "positive": positive,
        "specificity": section.specificity,
        "latency_repeats": section.latency_repeats,
        "reference": reference,
    }
    asked = {"open_set": _open_set(place, open_set)} if open_set else {}
    return Work(
        title=f"judge-{title}",
        target=jobs.judge,
        identity=[
            *_code(installed().origin(runner)),
            cpu_name(),
            os.cpu_count(),
            version("pupila-core"),
            _JUDGED,
            dataset.fingerprint,
            digest_json(groups),
            arguments | {name: _wherever(images) for name, images in asked.items()},
        ],
        arguments=arguments
        | asked
        | {"workspace": str(place.root), "frame": str(frame), "classes": list(dataset.classes)},
        timeout_seconds=_JUDGE_SECONDS,
    )


def _open_set(place: Workspace, images: OpenSetImages) -> dict[str, str | None]:
    """Return the images as files; these are named for what they list."""

    def written(images: Dataset | None) -> str | None:
        return str(write_frame(images.frame, place.cache)) if images else None

    return {
        "accepts": images.accepts,
        "near_misses": written(images.near_misses),
        "corrupted": written(images.corrupted),
    }


def _wherever(images: dict[str, str | None]) -> dict[str, str | None]:
    """Return the same with names of files for their paths: a workspace may be moved."""
    files = {name: path and Path(path).stem for name, path in images.items()}
    return files | {"accepts": images["accepts"]}


def alter(place: Workspace, accepted: Dataset) -> Work:
    """Alter images as a bad day does; the folder is named for all that they depend on."""
    versions = [version("pupila-flows"), version("pillow")]
    identity = [*versions, accepted.fingerprint, corruptions.strengths()]
    folder = _made_folder(place, "altered", identity, len(corruptions.ALTERATIONS) * len(accepted))
    return Work(
        title="alter-images",
        target=jobs.alter,
        identity=identity,
        arguments={
            "workspace": str(place.root),
            "frame": str(write_frame(accepted.frame, place.cache)),
            "classes": list(accepted.classes),
            "folder": str(folder),
        },
    )


def make_negatives(
    place: Workspace, train: Dataset, section: HardNegativesSection, seed: int
) -> Work:
    """Make hard negatives; the folder is named for all that they depend on."""
    settings = {**section.model_dump(), "seed": seed}
    versions = [version("pupila-flows"), version("pillow")]
    identity = [*versions, train.fingerprint, settings, list(KINDS)]
    return Work(
        title="hard-negatives",
        target=jobs.make_negatives,
        identity=identity,
        arguments={
            **settings,
            "workspace": str(place.root),
            "frame": str(write_frame(train.frame, place.cache)),
            "classes": list(train.classes),
            "folder": str(_made_folder(place, "negatives", identity, section.images)),
        },
    )


def _made_folder(place: Workspace, kind: str, identity: Sequence[object], files: int) -> Path:
    """Return where made images lie; where some are lost, all are made again."""
    folder = place.cache / kind / digest_json(identity)[:16]
    folder.parent.mkdir(parents=True, exist_ok=True)
    made.discard_unless(folder, files)
    return folder


def attempt(
    place: Workspace,
    title: str,
    artifact: Artifact,
    runner: Runner,
    images: Dataset,
    threads: int | None,
    section: EvaluateSection,
    source: str | None,
) -> Work:
    """Try an artifact in a runtime; `source` is the digest of what it was exported from."""
    frame = write_frame(images.frame, place.cache)
    own = installed().runner(artifact.format)
    arguments = {
        "artifact": artifact.digest,
        "runtime": runner.name,
        "source": source if runner == own else None,
        "threads": threads,
        "latency_repeats": section.latency_repeats,
    }
    return Work(
        title=f"try-{title}-{runner.name}" + (f"-{threads}" if threads else ""),
        target=jobs.attempt,
        identity=[
            *_code(installed().origin(runner)),
            *_code(installed().origin(own)),
            runner.environment and runner.environment(),
            cpu_name(),
            threads or os.cpu_count(),
            version("pupila-core"),
            images.fingerprint,
            arguments,
        ],
        arguments=arguments
        | {"workspace": str(place.root), "frame": str(frame), "classes": list(images.classes)},
        timeout_seconds=_JUDGE_SECONDS,
    )


def render_report(result: Path, folder: Path, identity: Sequence[object]) -> Work:
    """Draw the report of a result file into a folder."""
    return Work(
        title="report",
        target=jobs.render_report,
        identity=[version("pupila-flows"), *identity],
        arguments={"result": str(result), "folder": str(folder)},
        timeout_seconds=_REPORT_SECONDS,
    )


def positive_class(section: DataSection, dataset: Dataset) -> str:
    """Return the class whose sensitivity counts."""
    return section.positive or dataset.classes[0]


def data_summary(
    dataset: Dataset, section: DataSection, source: str, outcome: Outcome
) -> DataSummary:
    """Put the outcome of `check_data` beside the numbers of images."""
    return DataSummary(
        path=source,
        fingerprint=dataset.fingerprint,
        classes=dataset.classes,
        positive=positive_class(section, dataset),
        counts=counts(dataset),
        checks=tuple(Check.model_validate(check) for check in outcome.value["checks"]),
        data_docs=outcome.value["data_docs"],
    )


def counts(dataset: Dataset) -> dict[str, dict[str, int]]:
    """Count images by split, then class."""
    by_split: dict[str, dict[str, int]] = {}
    rows = zip(dataset.frame["split"].tolist(), dataset.frame["label"].tolist(), strict=True)
    for (split, label), number in sorted(Counter(rows).items()):
        by_split.setdefault(split, {})[label] = number
    return by_split


def _code(entry: Registered) -> list[object]:
    return [entry.plugin.name, entry.distribution, entry.version]
