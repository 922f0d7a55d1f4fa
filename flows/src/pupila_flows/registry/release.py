"""Selects which artifacts of a run are published."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, cast

import yaml
from pydantic import ValidationError

from pupila.errors import PupilaError, join_names, nearest
from pupila.plugin_registry import installed
from pupila.store import Store
from pupila_flows.recipe.errors import sentence
from pupila_flows.recipe.graph import Graph, unproven
from pupila_flows.recipe.publish import NO_GATE, PublishSection
from pupila_flows.registry.manifest import REPORT
from pupila_flows.registry.publishing import Release
from pupila_flows.results import Entry, RunResult


class Withheld(PupilaError):
    """Raised if nothing of a run may be published; the message says why, in one sentence."""


def section_in(recipe_text: str) -> PublishSection:
    """Return the section `publish` of a run's recipe; the default section if there is none.

    Raises:
        PupilaError: the section is invalid.
    """
    try:
        return PublishSection.model_validate(_mapping(recipe_text).get("publish") or {})
    except ValidationError as error:
        reason = sentence(error.errors()[0])
        raise PupilaError(f"The section `publish` of that run's recipe: {reason}.") from None


def _mapping(recipe_text: str) -> dict[str, Any]:
    return cast("dict[str, Any]", yaml.safe_load(recipe_text) or {})


def release_of(
    result: RunResult,
    folder: Path,
    section: PublishSection,
    store: Store,
    override: tuple[str, str] | None = None,
) -> Release:
    """Select what to publish from the run in `folder`: a name, and the artifacts under that name.

    Without `override` (a person's name and a reason), each model must have passed the gate. An
    artifact that is not a model, such as a site, must be made only from models that passed.

    Raises:
        Withheld: an artifact did not pass the gate, or the run has no gate or no report.
        PupilaError: an artifact was not made, or is no longer in the store.
    """
    entries = {entry.name: entry for entry in result.entries if entry.kind == "step"}
    graph = Graph.of_entries(result.entries, installed())
    names = section.artifacts or _gated_entries(result) or _ends(entries, graph)
    if override is None:
        _demand_pass(result, folder, names, entries, graph)
    artifacts = {name: store.open(_digest(name, entries)) for name in names}
    if not artifacts:
        raise PupilaError(
            f"The run in {str(folder)!r} made no artifact, so nothing can be published."
        )
    name = section.name or result.name
    return Release(name, result, folder, section, artifacts, override)


def _gated_entries(result: RunResult) -> tuple[str, ...]:
    gate = result.gate
    return tuple(verdict.entry for verdict in gate.artifacts) if gate else ()


def _ends(entries: Mapping[str, Entry], graph: Graph) -> tuple[str, ...]:
    """Return the last step of each branch that has an artifact; controls are left out."""
    ends = (entries[name] for name in graph.ends())
    return tuple(end.name for end in ends if end.artifact and end.repeats is None)


def _demand_pass(
    result: RunResult,
    folder: Path,
    names: tuple[str, ...],
    entries: Mapping[str, Entry],
    graph: Graph,
) -> None:
    gate = result.gate
    if gate is None and "gate" in _mapping(result.recipe_text):
        raise Withheld("Nothing is published: the gate could not be evaluated.")
    if gate is None:
        raise Withheld(NO_GATE)
    if gate.verdict != "pass":
        failed = [f"{artifact.entry}: {artifact.verdict}" for artifact in gate.artifacts]
        raise Withheld(
            f"Nothing is published: the gate says {gate.verdict} ({join_names(failed)})."
        )
    for name in names:
        if name in entries:
            _demand_whole(entries[name])
    passed = {artifact.entry for artifact in gate.artifacts if artifact.verdict == "pass"}
    for name in names:
        _demand_proof(name, passed, entries, graph)
    report = folder / REPORT
    if report.is_symlink() or not report.is_file():
        raise Withheld("Nothing is published: the run has no report.")


def _demand_whole(entry: Entry) -> None:
    """Refuse the artifact of an entry that failed, was not evaluated or was never trained."""
    reason = entry.error or entry.not_evaluated or (entry.measurement and "it was never trained")
    if reason:
        raise Withheld(f"Nothing is published: {entry.name!r} cannot be published: {reason}")


def _demand_proof(
    name: str, passed: Collection[str], entries: Mapping[str, Entry], graph: Graph
) -> None:
    """Refuse a model that did not pass the gate, or a site made from such a model."""
    missing = next(unproven(graph, name, passed), None)
    if missing is None:
        return
    if missing in entries:
        installed().step(entries[missing].uses)  # if it is not installed, that is the reason
    raise Withheld(
        f"Nothing is published: `publish.artifacts` names {name!r}, which the gate did "
        f"not check: name it in `gate.steps`, or leave it out."
    )


def _digest(name: str, entries: Mapping[str, Entry]) -> str:
    entry = entries.get(name)
    if entry is None or entry.artifact is None:
        raise PupilaError(
            f"The run has no artifact of the step {name!r}: it has "
            f"{join_names(entry.name for entry in entries.values() if entry.artifact)}."
            f"{nearest(name, entries)}"
        )
    return entry.artifact
