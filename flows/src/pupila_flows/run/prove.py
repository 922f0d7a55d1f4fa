"""Checks that the teachers are above chance on the validation images, before any step starts."""

from __future__ import annotations

from pupila.chance import ChanceCheck
from pupila.errors import PupilaError
from pupila.plugin import CLASSIFICATION
from pupila_flows.jobs.prove_teacher import ProveTeacher
from pupila_flows.plan.plan import PlannedTeacher
from pupila_flows.run.context import Run, answers_like
from pupila_flows.run.orchestrator import PendingArtifacts
from pupila_flows.teachers import PREFIX

_SPLIT = "validation"


def prove_teachers(run: Run, teachers: PendingArtifacts) -> dict[str, ChanceCheck]:
    """Check that teachers predict the validation images better than chance.

    Only teachers with the classes of the data are checked. Return each check by the teacher's name.
    A teacher that cannot be read, or that gives invalid predictions, is skipped; it fails later in
    the run.

    Raises:
        PupilaError: a teacher is not above chance, and the recipe does not mark it `unproven`.
    """
    checks: dict[str, ChanceCheck] = {}
    refused: list[str] = []
    for teacher in run.plan.teachers:
        check = _check(run, teacher, teachers)
        if check is None:
            continue
        checks[teacher.name] = check
        if check.above:
            continue
        sentence = f"Teacher {teacher.name!r} is {check.describe(_SPLIT)}."
        if teacher.name in run.plan.unproven:
            run.orchestrator.log.warning(
                f"{sentence} The recipe says `unproven: true`: it goes on."
            )
        else:
            refused.append(f"{sentence} {_advice(run, teacher, check)}")
    if refused:
        raise PupilaError("\n".join([*refused, "Nothing was trained."]))
    return checks


def _check(run: Run, teacher: PlannedTeacher, teachers: PendingArtifacts) -> ChanceCheck | None:
    """Return the chance check of a teacher; None if the check does not apply or fails."""
    images = run.dataset
    has_test = images.task == CLASSIFICATION  # no other task has a test against chance
    if not has_test or not answers_like(teacher.spec, images):
        return None
    if run.plan.gives_no_answers(teacher.name):
        return None
    imported = teachers[teacher.name].wait()
    if not imported.made:
        return None
    artifact = run.workspace.store.open(imported.result.value.artifact)
    if artifact.record.untrained:
        return None
    job = ProveTeacher.of(
        run.workspace, teacher.name, artifact, images.select(_SPLIT), run.positive
    )
    outcome = run.orchestrator.do(job)
    return outcome.result.value if outcome.made else None


def _advice(run: Run, teacher: PlannedTeacher, check: ChanceCheck) -> str:
    """Suggest another order of the classes, more images, or another teacher."""
    if check.order:
        if _is_stored(run, teacher):
            return f"{check.order_hint}: add it again, with `--classes {','.join(check.order)}`."
        if teacher.artifact:
            return f"{check.order_hint}: its record has another, so import the model file again."
        return f"{check.order_hint}: write `classes: [{', '.join(check.order)}]`."
    unproven = "write `unproven: true` into its section, and the run goes on all the same"
    if not check.has_enough_images:
        return f"Add {_SPLIT} images, or {unproven}."
    scaling = _scaling_advice(run, teacher)
    return (
        f"{scaling}Give a teacher that tells these classes apart, or more {_SPLIT} images; or "
        f"{unproven}."
    )


def _scaling_advice(run: Run, teacher: PlannedTeacher) -> str:
    """Ask for the scaling of pixels outside a model file, if the recipe names none."""
    if teacher.artifact or teacher.preprocess != "none":
        return ""
    where = (
        "add it again with `--preprocess`"
        if _is_stored(run, teacher)
        else "write `preprocess: scale` (or center, imagenet, caffe) into its section"
    )
    return (
        f"It is given raw RGB 0..255: if the program that trained it scaled pixels outside the "
        f"model file, {where}. "
    )


def _is_stored(run: Run, teacher: PlannedTeacher) -> bool:
    return run.plan.recipe.teachers[teacher.name].path.startswith(PREFIX)
