"""Collects the inputs of a run's gate and runs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pupila.errors import PupilaError, join_names
from pupila.plugin_registry import installed
from pupila_flows.gate.conditions import title_of
from pupila_flows.gate.inputs import Case, GateInputs
from pupila_flows.jobs.gate import AskGate
from pupila_flows.plan.reach import reach_of_plan
from pupila_flows.recipe.gate import GateSection
from pupila_flows.recipe.graph import Graph
from pupila_flows.registry import open_registry
from pupila_flows.results import ArtifactVerdict, Entry, GateResult
from pupila_flows.run.context import Run
from pupila_flows.run.incumbents import Incumbents, published_name, registry_address
from pupila_flows.run.leaks import check_references
from pupila_flows.run.questions import gate_model_of, images_of, places, validation_of
from pupila_flows.run.reused_images import count_verdicts


def run_gate(run: Run, entries: Sequence[Entry]) -> GateResult | None:
    """Run the recipe's gate and return its result; None if the recipe has no gate.

    The published models that the gate compares with are first evaluated on the same test images.
    """
    section = run.plan.recipe.gate
    return None if section is None else _decide(run, section, entries)


def log_reach(run: Run) -> None:
    """Before training, log which margins the gate can prove with this number of test images."""
    reach, log = reach_of_plan(run.plan), run.orchestrator.log
    if reach is not None:
        log.info(reach.sentence)
        for warning in reach.warnings:
            log.warning(warning)


def _decide(run: Run, section: GateSection, entries: Sequence[Entry]) -> GateResult:
    """Return the result of the gate; `fail` with a reason if the gate cannot be decided."""
    try:
        inputs = _gate_inputs(run, section, entries)
        untraced = check_references(run, inputs.cases)
        outcome = run.orchestrator.do(AskGate.of(run.workspace, inputs))
        if not outcome.made:
            raise PupilaError(outcome.reason)
        result = outcome.result.value
        registry = open_registry(registry_address(run)) if run.plan.recipe.publish else None
        reused = count_verdicts(run.workspace, inputs, registry, published_name(run))
    except PupilaError as error:
        return GateResult(verdict="fail", artifacts=(), reason=str(error))
    return result.model_copy(update={"untraced": untraced, "reused_test_images": reused})


def gate_failures(gate: GateResult | None) -> list[str]:
    """Return a line for each artifact that fails, or the reason why the gate was not decided.

    An inconclusive artifact does not fail; the report has every finding in full.
    """
    if gate is None:
        return []
    if gate.reason:
        return [f"gate: {gate.reason}"]
    return [
        f"gate: {artifact.entry} fails: {join_names(_failed(artifact, gate.task))}"
        for artifact in gate.artifacts
        if artifact.verdict == "fail"
    ]


def _failed(artifact: ArtifactVerdict, task: str) -> list[str]:
    """Name the conditions that an artifact fails: `accuracy against big where site = North`."""
    failed = [finding for finding in artifact.findings if finding.verdict == "fail"]
    named = [
        f"{title_of(finding.condition, task)}"
        f"{f' against {finding.against}' if finding.against else ''}"
        f"{f' {finding.where}' if finding.where else ''}"
        for finding in failed
    ]
    return list(dict.fromkeys(named))


def evaluated_by(section: GateSection, entries: Sequence[Entry]) -> list[Entry]:
    """Return the entries that a gate decides about.

    If the gate's `section` names no steps, the entries are those of `Graph.default_gate_steps`. If
    a step was repeated with other seeds, only its first run counts.
    """
    first = [entry for entry in entries if entry.kind == "step" and entry.repeats is None]
    if section.steps:
        return [entry for entry in first if entry.name in section.steps]
    by_default = Graph.of_entries(first, installed()).default_gate_steps()
    return [entry for entry in first if entry.name in by_default and not entry.not_evaluated]


def _gate_inputs(run: Run, section: GateSection, entries: Sequence[Entry]) -> GateInputs:
    """Return all inputs on which the verdict depends."""
    by_name = {entry.name: entry for entry in entries}
    incumbents = Incumbents.of(run, section)
    evaluated = evaluated_by(section, entries)
    cases = tuple(_case(entry, by_name, incumbents) for entry in evaluated)
    anchors = {
        version.title: None
        for case in cases
        for version in case.incumbents
        if version.role == "anchor"
    }
    others = [entry for entry in entries if entry.taught and entry.repeats is None]
    return GateInputs(
        section=section,
        specificity=run.plan.recipe.evaluate.specificity,
        cases=cases,
        rivals=tuple(model for entry in others if (model := gate_model_of(entry))),
        published=incumbents.version.title if incumbents.version else None,
        published_manifest=incumbents.version.sha256 if incumbents.version else None,
        anchor=" and ".join(anchors) or None,
        task=run.dataset.task,
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
        made=describe_origin(entry, entries),
        error=entry.error or (entry.not_evaluated if entry.evaluation is None else None),
        artifact=gate_model_of(entry),
        teacher=gate_model_of(teacher) if teacher else None,
        incumbents=incumbents.of_entry(entry),
    )


def describe_origin(entry: Entry, entries: Mapping[str, Entry]) -> str:
    """Describe how an entry was made: `quantize-int8 of float: export-tflite of pupil: …`."""
    if not entry.inputs:
        return entry.uses
    made = f"{entry.uses} of {' and '.join(entry.inputs)}"
    steps = [entries[name] for name in entry.inputs if name in entries]
    before = [describe_origin(step, entries) for step in steps if step.kind == "step"]
    return ": ".join([made, *before[:1]])
