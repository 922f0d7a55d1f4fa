"""Single pieces of work from the command line, without a flow around them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, get_args
from uuid import uuid4

import numpy as np
from pydantic import TypeAdapter, ValidationError

from pupila.chance import ChanceCheck, check_chance
from pupila.contract import OutputContract, OutputKind
from pupila.dataset import Dataset
from pupila.errors import PupilaError, few, nearest, no_class
from pupila.evaluation import Evaluation
from pupila.registry import installed
from pupila.store import is_artifact
from pupila_flows.data.reading import read_data
from pupila_flows.execution.job import Job
from pupila_flows.execution.session import perform, session
from pupila_flows.jobs.check_data import CheckData
from pupila_flows.jobs.evaluate import Evaluate, evaluation_of
from pupila_flows.jobs.import_teacher import ImportTeacher
from pupila_flows.jobs.report import DrawReport
from pupila_flows.plan.plan import PlannedTeacher, contradictions, planned_artifact
from pupila_flows.recipe.errors import sentence
from pupila_flows.recipe.schema import ClassNames, DataSection, EvaluateSection, TeacherSection
from pupila_flows.results import DataSummary
from pupila_flows.workspace import Workspace

ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class Evaluated:
    """A model that was judged by itself."""

    evaluation: Evaluation
    chance: ChanceCheck
    """Whether it is above chance on the test images."""
    recorded: bool
    """Whether its own record tells its classes."""

    @property
    def warning(self) -> str | None:
        """Say that it is not, and which order of its classes would reach more; None where it is."""
        found = self.chance
        if found.above:
            return None
        sentence = f"The model is {found.finding('test')}."
        if not found.order:
            return sentence
        mend = (
            "its record has another, so import the model file again"
            if self.recorded
            else f"give `--classes {','.join(found.order)}`"
        )
        return f"{sentence} {found.better}: {mend}."


_CLASSES: TypeAdapter[tuple[str, ...]] = TypeAdapter(ClassNames)


def validate(
    workspace: Workspace, data: Path, classes: tuple[str, ...] | None, positive: str | None
) -> DataSummary:
    """Check a dataset with the default bounds."""
    dataset = read_data(data, classes, workspace.cache)
    section = DataSection(path=str(data), positive=_known(positive, dataset))
    checked = _perform(CheckData.of(workspace, dataset, section, str(data)))
    return checked.summary(dataset, section, str(data))


def evaluate(
    workspace: Workspace,
    model: Path,
    data: Path,
    classes: tuple[str, ...] | None,
    output: str,
    positive: str | None,
    specificity: float,
) -> Evaluated:
    """Judge a model on the test split; `classes` names a file's output columns.

    An artifact's folder tells them itself.
    """
    dataset = read_data(data, None, workspace.cache)
    chosen = _known(positive, dataset) or dataset.classes[0]
    teacher = (
        _artifact(model, classes, output)
        if is_artifact(model)
        else _teacher(model, classes or dataset.classes, output)
    )
    imported = _perform(ImportTeacher.of(workspace, teacher))
    artifact = workspace.store.open(imported.artifact)
    if artifact.record.untrained:
        raise PupilaError(
            f"{str(model)!r} was never trained: it has a size and a speed, and no answers to judge."
        )
    job = Evaluate.of(
        workspace,
        model.name,
        artifact,
        dataset,
        chosen,
        EvaluateSection(specificity=specificity),
    )
    evaluation = evaluation_of(_perform(job))
    chance = _chance(evaluation, teacher, dataset.select("test"), chosen)
    return Evaluated(evaluation, chance, recorded=teacher.artifact is not None)


def _chance(
    evaluation: Evaluation, teacher: PlannedTeacher, images: Dataset, positive: str
) -> ChanceCheck:
    """Hold the answers against the labels, columns in the model's own order."""
    own = teacher.contract.classes
    columns = [images.classes.index(name) for name in own]
    labels = np.argsort(columns)[images.labels]
    answers = np.load(evaluation.probabilities)[:, columns]
    return check_chance(answers, labels, own, positive, images.patients)


def parse_classes(text: str | None) -> tuple[str, ...] | None:
    """Return the class names of a text with commas; None where there is none.

    Raises:
        PupilaError: a name is empty or given twice, or there is only one.
    """
    if text is None:
        return None
    names = tuple(name.strip() for name in text.split(","))
    try:
        return _CLASSES.validate_python(names)
    except ValidationError as error:
        raise _refused(names, error) from None


def report(workspace: Workspace, run: Path | None) -> Path:
    """Draw the report of a run folder, or of the latest run, again."""
    folder = run or _latest(workspace)
    result = folder / "result.json"
    if not result.exists():
        raise PupilaError(f"No result.json in {str(folder)!r}: give the folder of a finished run.")
    never_the_same = uuid4().hex
    return _perform(DrawReport.of(workspace, result.resolve(), never_the_same)).report


def _latest(workspace: Workspace) -> Path:
    runs = sorted(workspace.runs.glob("*/*/result.json"), key=lambda path: path.parent.name)
    if not runs:
        raise PupilaError(f"No run in {workspace.root} yet: `pupila run RECIPE` makes one.")
    return runs[-1].parent


def _perform(job: Job[ResultT]) -> ResultT:
    with session(job.workspace, workers=1):
        return perform(job).value


def _teacher(model: Path, classes: tuple[str, ...], output: str) -> PlannedTeacher:
    _section(model, classes, output)
    contract = OutputContract.model_validate({"kind": output, "classes": classes})
    return PlannedTeacher(model.stem, model, installed().loader(model).produces, contract)


def _artifact(model: Path, classes: tuple[str, ...] | None, output: str) -> PlannedTeacher:
    """Return a teacher that is an artifact; what was said of it must be what its record says."""
    planned = planned_artifact(model.stem, model, installed())
    section = _section(model, classes, output)
    for _, message in contradictions(section, planned.contract):
        raise PupilaError(message)
    return planned


def _section(model: Path, classes: tuple[str, ...] | None, output: str) -> TeacherSection:
    """Check what a command says of a model; the default output says nothing."""
    kinds = get_args(OutputKind)
    if output not in kinds:
        raise PupilaError(
            f"output is {output!r}: give one of {', '.join(kinds)}.{nearest(output, kinds)}"
        )
    said = {} if output == TeacherSection.model_fields["output"].default else {"output": output}
    try:
        return TeacherSection.model_validate({"path": str(model), "classes": classes} | said)
    except ValidationError as error:
        raise _refused(classes or (), error) from None


def _refused(classes: tuple[str, ...], error: ValidationError) -> PupilaError:
    reason = sentence(error.errors()[0])
    return PupilaError(f"The classes {few(classes)} cannot be told apart: {reason}.")


def _known(positive: str | None, dataset: Dataset) -> str | None:
    if positive is not None and positive not in dataset.classes:
        raise PupilaError(no_class("positive", positive, dataset.classes))
    return positive
