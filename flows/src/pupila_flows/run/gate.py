"""Asks the gate about a run: what it judges, and against what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prefect import get_run_logger

from pupila.errors import PupilaError, join_names
from pupila.plugin_registry import installed
from pupila_flows.gate.conditions import condition_of
from pupila_flows.gate.inputs import Case, Question
from pupila_flows.jobs.gate import AskGate
from pupila_flows.plan.plan import Plan
from pupila_flows.plan.reach import reach_of_plan
from pupila_flows.recipe.gate import GateSection
from pupila_flows.recipe.graph import Graph
from pupila_flows.registry import open_registry
from pupila_flows.results import ArtifactVerdict, Entry, GateResult
from pupila_flows.run.asked import asked
from pupila_flows.run.context import Run
from pupila_flows.run.incumbents import Incumbents, published_name, registry_address
from pupila_flows.run.leaks import check_references
from pupila_flows.run.prefect_tasks import reason_of, result_of, run_job
from pupila_flows.run.questions import images_of, places, side_of, validation_of


def ask(run: Run, entries: Sequence[Entry]) -> GateResult | None:
    """Return what the gate of the recipe says, if it has one.

    What is published now is judged on the same test images first.
    """
    section = run.plan.recipe.gate
    return None if section is None else _answered(run, section, entries)


def tell_reach(plan: Plan) -> None:
    """Log, before anything is trained, which margins the gate of a recipe can show."""
    found, log = reach_of_plan(plan), get_run_logger()
    if found is not None:
        log.info(found.sentence)
        for warning in found.warnings:
            log.warning(warning)


def _answered(run: Run, section: GateSection, entries: Sequence[Entry]) -> GateResult:
    """Return what the gate says; where it could not be asked, that it is not passed, and why."""
    try:
        question = _question(run, section, entries)
        untraced = check_references(run, question.cases)
        state = run_job(AskGate.of(run.workspace, question))
        if not state.is_completed():
            raise PupilaError(reason_of(state))
        result: GateResult = result_of(state).value
        registry = open_registry(registry_address(run)) if run.plan.recipe.publish else None
        count = asked(run.workspace, question, registry, published_name(run))
    except PupilaError as error:
        return GateResult(verdict="fail", artifacts=(), reason=str(error))
    return result.model_copy(update={"untraced": untraced, "asked": count})


def objections(gate: GateResult | None) -> list[str]:
    """Say in a line each why a gate could not be asked, or which conditions an artifact fails.

    What is inconclusive is no failure; the report has every finding in full.
    """
    if gate is None:
        return []
    if gate.reason:
        return [f"gate: {gate.reason}"]
    return [
        f"gate: {artifact.entry} fails: {join_names(_failed(artifact))}"
        for artifact in gate.artifacts
        if artifact.verdict == "fail"
    ]


def _failed(artifact: ArtifactVerdict) -> list[str]:
    """Name what an artifact fails, as `accuracy against big where site = North`."""
    failed = [finding for finding in artifact.findings if finding.verdict == "fail"]
    named = [
        f"{condition_of(finding.condition).title}"
        f"{f' against {finding.against}' if finding.against else ''}"
        f"{f' {finding.where}' if finding.where else ''}"
        for finding in failed
    ]
    return list(dict.fromkeys(named))


def judged_by(section: GateSection, entries: Sequence[Entry]) -> list[Entry]:
    """Return the entries that a gate is asked about.

    By default those that `Graph.judged_by_default` names; of entries that are repeated with other
    seeds, the first.
    """
    first = [entry for entry in entries if entry.kind == "step" and entry.repeats is None]
    if section.steps:
        return [entry for entry in first if entry.name in section.steps]
    judged = Graph.of_entries(first, installed()).judged_by_default()
    return [entry for entry in first if entry.name in judged and not entry.unjudged]


def _question(run: Run, section: GateSection, entries: Sequence[Entry]) -> Question:
    """Put together all that the verdict depends on; raise what keeps it from being asked."""
    by_name = {entry.name: entry for entry in entries}
    asked = judged_by(section, entries)
    incumbents = Incumbents.of(run, section)
    cases = tuple(_case(entry, by_name, incumbents) for entry in asked)
    anchors = {each.title: None for case in cases for each in case.earlier if each.role == "anchor"}
    others = [entry for entry in entries if entry.taught and entry.repeats is None]
    return Question(
        section=section,
        specificity=run.plan.recipe.evaluate.specificity,
        cases=cases,
        rivals=tuple(side for entry in others if (side := side_of(entry))),
        published=incumbents.version.title if incumbents.version else None,
        published_manifest=incumbents.version.sha256 if incumbents.version else None,
        anchor=" and ".join(anchors) or None,
        classes=run.dataset.classes,
        positive=run.positive,
        test=images_of(run.dataset.select("test"), section.groups),
        validation=validation_of(run.dataset, section.groups),
        external=places(run, entries, section.external),
    )


def _case(entry: Entry, entries: Mapping[str, Entry], incumbents: Incumbents) -> Case:
    teacher = entries.get(entry.reference) if entry.reference else None
    return Case(
        entry=entry.name,
        made=made_words(entry, entries),
        error=entry.error or (entry.unjudged if entry.evaluation is None else None),
        artifact=side_of(entry),
        teacher=side_of(teacher) if teacher else None,
        earlier=incumbents.of_entry(entry),
    )


def made_words(entry: Entry, entries: Mapping[str, Entry]) -> str:
    """Say how an entry was made: `quantize-int8 of float: export-tflite of pupil: …`."""
    if not entry.inputs:
        return entry.uses
    made = f"{entry.uses} of {' and '.join(entry.inputs)}"
    steps = [entries[name] for name in entry.inputs if name in entries]
    before = [made_words(each, entries) for each in steps if each.kind == "step"]
    return ": ".join([made, *before[:1]])
