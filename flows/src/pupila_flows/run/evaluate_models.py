"""Evaluates models on images for `pupila evaluate`, and compares them with a teacher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pupila import layout
from pupila.artifact import Artifact
from pupila.chance import ChanceCheck
from pupila.data_source import ReaderChoice
from pupila.dataset import Dataset
from pupila.errors import PupilaError, nearest, unknown_class
from pupila.evaluation import LATENCY_REPEATS, SPECIFICITY, Estimate
from pupila.external import ExternalEvaluation
from pupila.pixel_scaling import Preprocess
from pupila.plugin import CLASSIFICATION
from pupila.plugin_registry import installed
from pupila.store import is_artifact
from pupila.task import TaskMethods, methods_of
from pupila_flows.data.external.listing import TEST, Listing, class_of, list_images
from pupila_flows.data.external.reading import ExternalImages, read_external, scan_rows
from pupila_flows.data.training_images import TrainingImages, find_repeats
from pupila_flows.gate.inputs import (
    Case,
    ExternalPredictions,
    GateExternalSet,
    GateInputs,
    GateModel,
)
from pupila_flows.jobs.compare_external import CompareExternal, ExternalDifferences
from pupila_flows.jobs.evaluate_external import EvaluateExternal
from pupila_flows.plan.plan import PlannedTeacher, planned_artifact
from pupila_flows.recipe.expectations import Bounds
from pupila_flows.recipe.gate import GateSection, default_margins
from pupila_flows.run.given_models import import_model, planned_models
from pupila_flows.run.questions import images_of
from pupila_flows.run.single import perform_alone
from pupila_flows.workspace import Workspace

_VALIDATION = "validation"


@dataclass(frozen=True)
class EvaluationRequest:
    """Which models to evaluate, on which images, and how: the arguments of `pupila evaluate`."""

    models: tuple[Path, ...]
    data: Path
    against: Path | None = None
    classes: tuple[str, ...] | None = None
    output: str | None = None
    preprocess: Preprocess = "none"
    """Scaling of pixels that is not in the model files."""
    task: str | None = None
    """What model files have learned; by default what the artifacts have, or a classification."""
    positive: str | None = None
    specificity: float = SPECIFICITY
    split: str | None = None
    folder: Path | None = None
    """Folder of the files that a CSV lists; None for the folder of the CSV itself."""
    renamed: Mapping[str, str] = field(default_factory=dict[str, str])
    """Classes by label, for labels of the images that differ from the name of their class."""
    groups: tuple[str, ...] = ()
    """Columns of a CSV; images are also evaluated separately for each value in them."""


@dataclass(frozen=True)
class EvaluatedModel:
    """One model and its results on the images."""

    name: str
    artifact: Artifact
    result: ExternalEvaluation
    recorded: bool
    """Whether the model's classes come from its record, not from the command."""
    learned: int
    """Number of these images that the model is known to have been trained on."""

    @property
    def warnings(self) -> list[str]:
        """Warnings, as sentences: the model is at chance level, or was trained on these images."""
        sentences: list[str] = []
        if self.learned:
            sentences.append(f"{self.name} was trained on {self.learned} of these images.")
        chance = self.result.chance
        if chance and not chance.above:
            sentences.append(f"{self.name} is {chance.describe(TEST)}. {self._other_order(chance)}")
        return [sentence.strip() for sentence in sentences]

    def _other_order(self, chance: ChanceCheck) -> str:
        """Suggest an order of classes with which the model is above chance; empty if none is."""
        if not chance.order:
            return ""
        advice = (
            "its record has another, so import the model file again"
            if self.recorded
            else f"give `--classes {','.join(chance.order)}`"
        )
        return f"{chance.order_hint}: {advice}."


@dataclass(frozen=True)
class EvaluatedModels:
    """All models with their results, and their differences from the teacher."""

    images: ExternalImages
    models: tuple[EvaluatedModel, ...]
    teacher: EvaluatedModel | None
    compared: ExternalDifferences

    @property
    def task(self) -> TaskMethods:
        """The methods of the task that the models have learned."""
        return methods_of(self.images.dataset.task)

    @property
    def every(self) -> tuple[EvaluatedModel, ...]:
        """All models; the teacher, if there is one, comes first."""
        return (self.teacher, *self.models) if self.teacher else self.models

    def differences(self, name: str) -> Mapping[str, Estimate]:
        """Return the paired differences, model minus teacher, by metric."""
        return self.compared.by_place.get(self.images.name, {}).get(name, {})

    def not_compared(self, name: str) -> list[str]:
        """Return the metrics that could not be compared although the images have labels."""
        if self.teacher is None or not self.images.labelled:
            return []
        compared = default_margins(self.images.dataset.task).asked
        return [metric for metric in compared if metric not in self.differences(name)]

    def group_differences(self, name: str, column: str, value: str) -> Mapping[str, Estimate]:
        """Return the paired differences on the images that have `value` in `column`, by metric."""
        return self.compared.by_group.get(column, {}).get(value, {}).get(name, {})


def evaluate_models(workspace: Workspace, request: EvaluationRequest) -> EvaluatedModels:
    """Evaluate models on images, and compare them with a teacher if the request names one.

    If the images have splits, models are evaluated on the requested split, by default `test`. For a
    model without a shipped threshold, the threshold is chosen on the split `validation`.

    Raises:
        PupilaError: models or images are missing, their classes differ, or the images have no
            labels and no teacher is given.
    """
    task, names = _learned(request)
    choice = ReaderChoice(cache=workspace.cache)
    listing = list_images(request.data, request.folder, task, names, choice)
    chosen = listing.of_split(request.split)
    if not chosen.labels and request.against is None:
        raise PupilaError(
            f"The images of {str(request.data)!r} have no labels, and no model to compare with is "
            f"given: name a teacher with `--against`."
        )
    planned = _plan(request, chosen, names, workspace.cache)
    classes = _classes(planned)
    positive = _positive(request, classes) if task == CLASSIFICATION else ""
    images, home = _read(workspace, request, listing, chosen, classes)
    models = [import_model(workspace, model) for model in planned]
    names = _names([model.path for model in planned])
    evaluator = _Evaluator(workspace, request, images, home, positive)
    teacher = None
    if request.against is not None:
        *models, last = models
        teacher = evaluator.evaluate(names.pop(), last, planned[-1])
    evaluated = [
        evaluator.evaluate(name, model, plan, teacher)
        for name, model, plan in zip(names, models, planned, strict=False)
    ]
    differences = evaluator.compare(evaluated, teacher)
    return EvaluatedModels(images, tuple(evaluated), teacher, differences)


def _learned(request: EvaluationRequest) -> tuple[str, tuple[str, ...] | None]:
    """Return the task of the models, which must be the same, and the classes if they are given.

    Raises:
        PupilaError: artifacts have learned something else.
    """
    models = [*request.models, *([request.against] if request.against else [])]
    recorded = {
        model: planned_artifact(model.stem, model, installed()).spec
        for model in models
        if is_artifact(model)
    }
    first = next(iter(recorded.values()), None)
    task = request.task or (first.task if first else CLASSIFICATION)
    for model, own in recorded.items():
        if own.task != task:
            raise PupilaError(
                f"{str(model)!r} has learned {own.task}, and models of {task} are evaluated: "
                f"models of two tasks cannot be evaluated on the same images."
            )
    return task, request.classes or (first.classes if first else None)


def _plan(
    request: EvaluationRequest, listing: Listing, known: tuple[str, ...] | None, cache: Path
) -> list[PlannedTeacher]:
    """Return the models; `known` are the classes that are given."""
    if listing.task == CLASSIFICATION:
        names = tuple(sorted({request.renamed.get(label, label) for label in listing.labels}))
        if len(request.classes or names) > 1:
            _positive(request, request.classes or names)  # before a model is looked for
    else:
        _check_without_classes(request, listing.task)
        choice = ReaderChoice(cache=cache)
        names = layout.names(request.data, listing.task, known, choice)
    models = [*request.models, *([request.against] if request.against else [])]
    return planned_models(
        models, request.classes, names, request.output, listing.task, request.preprocess
    )


def _check_without_classes(request: EvaluationRequest, task: str) -> None:
    """Refuse options that speak of classes.

    Raises:
        PupilaError: there are some.
    """
    if request.positive is not None:
        raise PupilaError(
            f"--positive names a class, and the task {task!r} has no classes: leave it out."
        )


def _positive(request: EvaluationRequest, classes: Sequence[str]) -> str:
    """Return the class that counts as positive, matched without regard to case."""
    if request.positive is None:
        return classes[0]
    name = class_of(request.positive, classes, {})
    if name is None:
        raise PupilaError(unknown_class("positive", request.positive, classes))
    return name


def _classes(planned: Sequence[PlannedTeacher]) -> tuple[str, ...]:
    """Return the classes of all models in alphabetical order."""
    first = sorted(planned[0].spec.classes)
    for model in planned:
        if sorted(model.spec.classes) != first:
            raise PupilaError(
                f"{str(model.path)!r} tells {sorted(model.spec.classes)} apart, and "
                f"{str(planned[0].path)!r} {first}: models of other classes cannot be evaluated on "
                f"the same images."
            )
    return tuple(first)


def _names(paths: Sequence[Path]) -> list[str]:
    """Return the names of files, or whole paths if two names are the same."""
    short = [path.name for path in paths]
    return short if len(set(short)) == len(short) else [str(path) for path in paths]


def _read(
    workspace: Workspace,
    request: EvaluationRequest,
    listing: Listing,
    chosen: Listing,
    classes: tuple[str, ...],
) -> tuple[ExternalImages, Dataset | None]:
    """Return the images to evaluate on, and the validation images if there are some."""
    known = chosen.with_classes(classes, request.renamed)
    columns = sorted({name for row in known.rows for name in row} - {"path", "label", "split"})
    for column in request.groups:
        if column not in columns:
            have = f"it has {', '.join(columns)}" if columns else "there are none"
            raise PupilaError(
                f"{str(request.data)!r} has no column {column!r} to group by: {have}."
                f"{nearest(column, columns)}"
            )
    title, cache = request.data.name or str(request.data), workspace.cache
    images = read_external(title, known, classes, cache)
    chosen_by = tuple(row for row in listing.rows if row["split"] == _VALIDATION and row["label"])
    labels = {row["label"] for row in chosen_by} if listing.task == CLASSIFICATION else set[str]()
    is_own = {row["split"] for row in chosen.rows} == {_VALIDATION}
    if is_own or not all(class_of(label, classes, request.renamed) for label in labels):
        chosen_by = ()
    if not chosen_by or not images.labelled:
        return images, None
    named = replace(listing, rows=chosen_by, left_out={})
    named = named.with_classes(classes, request.renamed)
    frame, skipped = scan_rows(_VALIDATION, named, cache)
    skipped = (*images.skipped, *skipped)
    return replace(images, skipped=skipped), Dataset.of(frame, classes, cache, listing.task)


@dataclass(frozen=True)
class _Evaluator:
    """Evaluates models, all on the same images."""

    workspace: Workspace
    request: EvaluationRequest
    images: ExternalImages
    validation: Dataset | None
    positive: str

    def evaluate(
        self,
        name: str,
        artifact: Artifact,
        planned: PlannedTeacher,
        teacher: EvaluatedModel | None = None,
    ) -> EvaluatedModel:
        reference = (teacher.name, teacher.artifact.digest) if teacher else None
        job = EvaluateExternal.of(
            self.workspace,
            f"{name} on {self.images.name}",
            artifact,
            self.images.dataset,
            positive=self.positive,
            specificity=self.request.specificity,
            validation=self.validation,
            reference=reference,
            groups=self.request.groups,
            latency_repeats=LATENCY_REPEATS,
        )
        known = TrainingImages.read(artifact.path)
        distance = Bounds().near_duplicate_distance
        return EvaluatedModel(
            name=name,
            artifact=artifact,
            result=perform_alone(job),
            recorded=planned.artifact is not None,
            learned=sum(find_repeats(known.images, self.images.dataset, distance)) if known else 0,
        )

    def compare(
        self, models: Sequence[EvaluatedModel], teacher: EvaluatedModel | None
    ) -> ExternalDifferences:
        """Compare models with the teacher, image by image; empty without a teacher or labels."""
        if teacher is None or not self.images.labelled:
            return ExternalDifferences(by_place={}, by_group={})
        dataset, every = self.images.dataset, (*models, teacher)
        answers = [
            ExternalPredictions(name=model.name, probabilities=model.result.probabilities)
            for model in every
        ]
        external = GateExternalSet(
            name=self.images.name,
            images=images_of(dataset, self.request.groups),
            labelled=True,
            predictions=tuple(answers),
        )
        inputs = GateInputs(
            section=GateSection().of_task(dataset.task),
            specificity=self.request.specificity,
            cases=tuple(
                Case(entry=model.name, made="", artifact=_side(model), teacher=_side(teacher))
                for model in models
            ),
            task=dataset.task,
            classes=dataset.classes,
            positive=self.positive,
            test=images_of(dataset),
            validation=None if self.validation is None else images_of(self.validation),
            external=(external,),
        )
        return perform_alone(CompareExternal.of(self.workspace, inputs))


def _side(model: EvaluatedModel) -> GateModel | None:
    evaluation, threshold = model.result.evaluation, model.artifact.record.threshold
    return evaluation and GateModel(name=model.name, evaluation=evaluation, threshold=threshold)
