"""Compares two versions published under one name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pupila.task import TaskMethods, methods_of
from pupila_flows.recipe.differences import Change, setting_changes
from pupila_flows.registry.manifest import RESULT, Manifest
from pupila_flows.registry.versions import Registry, Version, folder_of
from pupila_flows.report import formatting
from pupila_flows.report.terminal import evaluation_row
from pupila_flows.results import Entry, RunResult

_SAME_MACHINE = "runtime"
"""Column of `evaluation_row` that names the runtime; it is not a metric, so it is dropped."""


class Difference(BaseModel):
    """All differences between two versions."""

    model_config = ConfigDict(frozen=True)

    name: str
    before: int
    after: int
    recipe: tuple[Change, ...] = Field(description="Settings of the recipes that differ.")
    changes: tuple[Change, ...]


def diff(registry: Registry, name: str, before: int, after: int) -> Difference:
    """Compare two versions of a name: recipe, teachers, data, artifacts, verdicts and metrics.

    Raises:
        PupilaError: one of the versions does not exist.
    """
    old, new = registry.version(name, before), registry.version(name, after)
    first, second = old.manifest, new.manifest
    fact_functions: tuple[Callable[[Manifest], Mapping[str, str]], ...] = (
        _teachers,
        _data,
        _run,
        _artifacts,
        _verdicts,
    )
    changes = [
        change
        for facts_of in fact_functions
        for change in _changes(facts_of(first), facts_of(second))
    ]
    changes += _changes(_metrics(registry, old), _metrics(registry, new))
    return Difference(
        name=name,
        before=before,
        after=after,
        recipe=tuple(setting_changes(first.run.recipe, second.run.recipe)),
        changes=tuple(changes),
    )


def _changes(before: Mapping[str, str], after: Mapping[str, str]) -> Iterable[Change]:
    for what in dict.fromkeys([*before, *after]):
        old, new = before.get(what, formatting.NONE), after.get(what, formatting.NONE)
        if old != new:
            yield Change(what=what, before=old, after=new)


def _teachers(manifest: Manifest) -> dict[str, str]:
    return {
        f"teacher {link.entry}": link.record.origin.source or digest
        for digest, link in manifest.chain.items()
        if link.kind == "teacher"
    }


def _data(manifest: Manifest) -> dict[str, str]:
    data = manifest.data
    counted = {
        f"images {split}/{label}": str(number)
        for split, labels in data.counts.items()
        for label, number in labels.items()
    }
    return {"data fingerprint": data.fingerprint, **counted}


def _run(manifest: Manifest) -> dict[str, str]:
    run = manifest.run
    versions = {f"version of {name}": version for name, version in run.versions.items()}
    return {"seed": str(run.seed), "machine": run.machine, **versions}


def _artifacts(manifest: Manifest) -> dict[str, str]:
    return {f"artifact {entry}": digest for entry, digest in manifest.artifacts.items()}


def _verdicts(manifest: Manifest) -> dict[str, str]:
    gate, own = manifest.gate, manifest.override
    verdicts = (
        {f"verdict on {artifact.entry}": artifact.verdict for artifact in gate.artifacts}
        if gate
        else {}
    )
    verdict = gate.verdict if gate else "no gate"
    return verdicts | {"gate": verdict, "override by": own.by if own else formatting.NONE}


def _metrics(registry: Registry, version: Version) -> dict[str, str]:
    """Return the metrics of each published artifact, with intervals, from `result.json`."""
    content = registry.storage.read(f"{folder_of(version.name, version.number)}/{RESULT}")
    try:
        result = RunResult.model_validate_json(content or b"")
    except ValidationError:
        return {}  # written by another version of Pupila: only the manifest is compared
    return {
        f"{entry.name}: {metric}": value
        for entry in result.entries
        if entry.name in version.artifacts
        for metric, value in _row(entry, methods_of(result.data.task)).items()
    }


def _row(entry: Entry, task: TaskMethods) -> dict[str, Any]:
    if entry.evaluation is None:
        return {}
    row = evaluation_row(entry.evaluation, task)
    row.pop(_SAME_MACHINE)
    return row | {"bytes": str(entry.evaluation.cost.size_bytes)}
