"""Compares all models, or only those in the gate, with their teachers on altered images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pupila.artifact import Artifact
from pupila_flows.jobs.evaluate_shift import EvaluateShift
from pupila_flows.recipe.gate import GateSection
from pupila_flows.recipe.shift import ShiftSection
from pupila_flows.results import Entry
from pupila_flows.run.context import Run
from pupila_flows.run.gate import evaluated_by


def evaluate_shifts(
    run: Run, entries: Sequence[Entry], *, gated: bool
) -> tuple[list[Entry], list[str]]:
    """Return the entries with results on altered images, and a list of errors.

    If the recipe has a section `shift`, all steps are evaluated. Without this section, the entries
    in the gate are evaluated if the run is `gated` and the gate requires fidelity. The images then
    have only the severity `middle`, on which the gate decides.
    """
    recipe = run.plan.recipe
    asked = asked_of(recipe.shift, recipe.gate if gated else None, entries)
    by_name = {entry.name: entry for entry in entries}
    behind = teachers_behind(by_name)
    evaluated: list[Entry] = []
    failures: list[str] = []
    for entry in entries:
        teacher = by_name.get(behind.get(entry.name) or "")
        job = _job(run, entry, teacher) if entry.name in asked else None
        outcome = run.orchestrator.do(job) if job else None
        if outcome is None:
            evaluated.append(entry)
        elif outcome.made:
            evaluated.append(entry.model_copy(update={"shift": outcome.result.value}))
        else:
            evaluated.append(entry)
            failures.append(f"{entry.name} on altered images: {outcome.reason}")
    return evaluated, failures


def asked_of(
    section: ShiftSection | None, gate: GateSection | None, entries: Sequence[Entry]
) -> set[str]:
    """Return the names of the entries to evaluate on altered images.

    `gate` is None if the run has no gate.
    """
    if section is not None:
        return {entry.name for entry in entries if entry.kind == "step"}
    if gate is None or gate.fidelity is None:
        return set()
    return {entry.name for entry in evaluated_by(gate, entries)}


def teachers_behind(entries: Mapping[str, Entry]) -> dict[str, str | None]:
    """Return the name of each entry's teacher, by the name of the entry.

    A control has the teacher of the step that it is compared with.
    """
    controls = {
        entry.control: entry.reference for entry in entries.values() if entry.control is not None
    }
    return {name: entry.reference or controls.get(name) for name, entry in entries.items()}


def _job(run: Run, entry: Entry, teacher: Entry | None) -> EvaluateShift | None:
    """Return the job for an entry; None if the entry or its teacher was not evaluated."""
    model, reference = _artifact(run, entry), _artifact(run, teacher)
    if model is None or reference is None or teacher is None:
        return None
    section = run.plan.recipe.shift
    return EvaluateShift.of(
        *(run.workspace, entry.name, model, (teacher.name, reference), run.dataset, run.positive),
        section or ShiftSection(),
        whole=section is not None,
    )


def _artifact(run: Run, entry: Entry | None) -> Artifact | None:
    """Return the artifact of an entry that was evaluated."""
    if entry is None or entry.evaluation is None or entry.artifact is None:
        return None
    return run.workspace.store.open(entry.artifact)
