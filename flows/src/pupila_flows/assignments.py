"""What each part of a run comes down to: its `Work`, and what the result depends on."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from pupila.artifact import Artifact
from pupila.dataset import GROUP_COLUMNS, Dataset
from pupila.digest import digest_json, digest_tree
from pupila.plugin import Runner
from pupila.registry import Registered, installed
from pupila_flows import jobs
from pupila_flows.expansion import Node
from pupila_flows.frames import write_frame
from pupila_flows.plan import PlannedTeacher
from pupila_flows.recipe import DataSection, EvaluateSection
from pupila_flows.results import Check, DataSummary
from pupila_flows.work import Outcome, Work
from pupila_flows.workspace import Workspace

_IMPORT_SECONDS = 1800.0
"""Far more than any model takes: libraries may read a damaged file forever."""
_JUDGE_SECONDS = 3600.0
_REPORT_SECONDS = 600.0


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


def import_teacher(place: Workspace, teacher: PlannedTeacher) -> Work:
    """Read a teacher into the store."""
    section = teacher.section
    loader = installed().origin(installed().loader(teacher.path))
    return Work(
        title=teacher.name,
        target=jobs.import_teacher,
        identity=[
            *_code(loader),
            digest_tree(teacher.path),
            list(section.classes),
            section.output,
        ],
        arguments={
            "workspace": str(place.root),
            "path": str(teacher.path),
            "classes": list(section.classes),
            "output": section.output,
        },
        timeout_seconds=_IMPORT_SECONDS,
    )


def run_step(place: Workspace, node: Node, dataset: Dataset) -> Work:
    """Run a node of the graph; its inputs are given later, by `Work.on`.

    It is not given the test images: no step can learn from them, or need them.
    """
    plugin, config = node.plugin, node.config.model_dump(mode="json")
    seen = dataset.without("test")
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
) -> Work:
    """Evaluate an artifact; `reference` is the name and digest of what it should agree with.

    Raises:
        PupilaError: no installed plugin runs its format.
    """
    frame = write_frame(dataset.frame, place.cache)
    runner = installed().runner(artifact.format)
    groups = {name: dataset.frame[name].tolist() for name in GROUP_COLUMNS if name in dataset.frame}
    arguments = {
        "artifact": artifact.digest,
        "positive": positive,
        "specificity": section.specificity,
        "latency_repeats": section.latency_repeats,
        "reference": reference,
    }
    return Work(
        title=f"judge-{title}",
        target=jobs.judge,
        identity=[
            *_code(installed().origin(runner)),
            version("pupila-core"),
            dataset.fingerprint,
            digest_json(groups),
            arguments,
        ],
        arguments=arguments
        | {"workspace": str(place.root), "frame": str(frame), "classes": list(dataset.classes)},
        timeout_seconds=_JUDGE_SECONDS,
    )


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
    by_split: dict[str, dict[str, int]] = {}
    rows = zip(dataset.frame["split"].tolist(), dataset.frame["label"].tolist(), strict=True)
    for (split, label), number in sorted(Counter(rows).items()):
        by_split.setdefault(split, {})[label] = number
    return DataSummary(
        path=source,
        fingerprint=dataset.fingerprint,
        classes=dataset.classes,
        positive=positive_class(section, dataset),
        counts=by_split,
        checks=tuple(Check.model_validate(check) for check in outcome.value["checks"]),
        data_docs=outcome.value["data_docs"],
    )


def _code(entry: Registered) -> list[object]:
    return [entry.plugin.name, entry.distribution, entry.version]
