"""Models that a command names, judged on images that a command names, beside their teacher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pupila.artifact import Artifact
from pupila.chance import ChanceCheck
from pupila.dataset import Dataset
from pupila.errors import PupilaError, nearest, unknown_class
from pupila.evaluation import LATENCY_REPEATS, SPECIFICITY, Estimate
from pupila.external import ExternalEvaluation
from pupila_flows.data.external.listing import TEST, Listing, class_of, list_images
from pupila_flows.data.external.reading import ExternalImages, read_external, scan_rows
from pupila_flows.data.training_images import TrainingImages, repeated
from pupila_flows.gate.external import COMPARED
from pupila_flows.gate.inputs import Case, Place, PlaceAnswers, Question, Side
from pupila_flows.jobs.compare_external import CompareExternal, ExternalDifferences
from pupila_flows.jobs.evaluate_external import EvaluateExternal
from pupila_flows.jobs.import_teacher import ImportTeacher
from pupila_flows.plan.plan import PlannedTeacher
from pupila_flows.recipe.expectations import Bounds
from pupila_flows.recipe.gate import GateSection
from pupila_flows.run.given_models import planned_models
from pupila_flows.run.questions import images_of
from pupila_flows.run.single import performed
from pupila_flows.workspace import Workspace

_VALIDATION = "validation"


@dataclass(frozen=True)
class Asked:
    """What is to be judged, as a command says it."""

    models: tuple[Path, ...]
    data: Path
    against: Path | None = None
    classes: tuple[str, ...] | None = None
    output: str = "softmax"
    positive: str | None = None
    specificity: float = SPECIFICITY
    split: str | None = None
    folder: Path | None = None
    """Where the files of a CSV lie, if not where it says."""
    renamed: Mapping[str, str] = field(default_factory=dict[str, str])
    """Classes by labels of the images."""
    groups: tuple[str, ...] = ()
    """Columns of a CSV."""


@dataclass(frozen=True)
class EvaluatedModel:
    """One model on the images."""

    name: str
    artifact: Artifact
    found: ExternalEvaluation
    recorded: bool
    """Whether its own record tells its classes."""
    learned: int
    """Images among those that it is known to have been trained on."""

    @property
    def warnings(self) -> list[str]:
        """Say that it is not above chance, or has seen the images."""
        said: list[str] = []
        if self.learned:
            said.append(f"{self.name} was trained on {self.learned} of these images.")
        chance = self.found.chance
        if chance and not chance.above:
            said.append(f"{self.name} is {chance.describe(TEST)}. {self._other_order(chance)}")
        return [sentence.strip() for sentence in said]

    def _other_order(self, chance: ChanceCheck) -> str:
        """Say with which order of its classes it would reach more; empty where with none."""
        if not chance.order:
            return ""
        mend = (
            "its record has another, so import the model file again"
            if self.recorded
            else f"give `--classes {','.join(chance.order)}`"
        )
        return f"{chance.order_hint}: {mend}."


@dataclass(frozen=True)
class EvaluatedModels:
    """All models on the images."""

    images: ExternalImages
    models: tuple[EvaluatedModel, ...]
    teacher: EvaluatedModel | None
    compared: ExternalDifferences

    @property
    def every(self) -> tuple[EvaluatedModel, ...]:
        """The models, and the teacher first where there is one."""
        return (self.teacher, *self.models) if self.teacher else self.models

    def differences(self, name: str) -> Mapping[str, Estimate]:
        """Return the paired differences of a model and the teacher, by figure."""
        return self.compared.by_place.get(self.images.name, {}).get(name, {})

    def not_compared(self, name: str) -> list[str]:
        """Return the figures that were not compared with the teacher's, despite labels."""
        if self.teacher is None or not self.images.labelled:
            return []
        return [figure for figure in COMPARED if figure not in self.differences(name)]

    def group_differences(self, name: str, column: str, value: str) -> Mapping[str, Estimate]:
        """Return the same of the images with a value in a column."""
        return self.compared.by_group.get(column, {}).get(value, {}).get(name, {})


def evaluate_models(workspace: Workspace, asked: Asked) -> EvaluatedModels:
    """Judge models on images, in whatever form these come, and hold them against a teacher.

    Where the images are in splits, it is `test` that is judged, or the one that is named, and those
    of `validation` choose the thresholds of models that ship none.

    Raises:
        PupilaError: there are no such models or images, they have other classes, or nothing can be
            said of the images, as they have no labels and there is no teacher.
    """
    listing = list_images(asked.data, asked.folder)
    judged = listing.of_split(asked.split)
    if not judged.labels and asked.against is None:
        raise PupilaError(
            f"The images of {str(asked.data)!r} have no labels, and there is no model to compare "
            f"with: name a teacher with `--against`."
        )
    planned = _planned(asked, judged)
    classes = _classes(planned)
    positive = _positive(asked, classes)
    images, home = _read(workspace, asked, listing, judged, classes)
    models = [_imported(workspace, each) for each in planned]
    names = _names([each.path for each in planned])
    judge = _Judge(workspace, asked, images, home, positive)
    teacher = None
    if asked.against is not None:
        *models, last = models
        teacher = judge.model(names.pop(), last, planned[-1])
    found = [
        judge.model(name, model, each, teacher)
        for name, model, each in zip(names, models, planned, strict=False)
    ]
    return EvaluatedModels(images, tuple(found), teacher, judge.compared(found, teacher))


def _planned(asked: Asked, judged: Listing) -> list[PlannedTeacher]:
    labels = {asked.renamed.get(label, label) for label in judged.labels}
    if len(asked.classes or labels) > 1:
        _positive(asked, asked.classes or sorted(labels))  # before a model is looked for
    models = [*asked.models, *([asked.against] if asked.against else [])]
    return planned_models(models, asked.classes, tuple(sorted(labels)), asked.output)


def _positive(asked: Asked, classes: Sequence[str]) -> str:
    """Return the class that counts as positive, found without regard to case."""
    if asked.positive is None:
        return classes[0]
    found = class_of(asked.positive, classes, {})
    if found is None:
        raise PupilaError(unknown_class("positive", asked.positive, classes))
    return found


def _classes(planned: Sequence[PlannedTeacher]) -> tuple[str, ...]:
    """Return the classes of all models in alphabetical order."""
    first = sorted(planned[0].contract.classes)
    for each in planned:
        if sorted(each.contract.classes) != first:
            raise PupilaError(
                f"{str(each.path)!r} tells {sorted(each.contract.classes)} apart, and "
                f"{str(planned[0].path)!r} {first}: models of other classes cannot be judged on "
                f"the same images."
            )
    return tuple(first)


def _names(paths: Sequence[Path]) -> list[str]:
    """Return names of files, or whole paths where two are called the same."""
    short = [path.name for path in paths]
    return short if len(set(short)) == len(short) else [str(path) for path in paths]


def _imported(workspace: Workspace, planned: PlannedTeacher) -> Artifact:
    artifact = workspace.store.open(
        performed(ImportTeacher.of(workspace, planned)).artifact,
    )
    if artifact.record.untrained:
        raise PupilaError(
            f"{str(planned.path)!r} was never trained: it has a size and a speed, and no answers "
            f"to judge."
        )
    return artifact


def _read(
    workspace: Workspace,
    asked: Asked,
    listing: Listing,
    judged: Listing,
    classes: tuple[str, ...],
) -> tuple[ExternalImages, Dataset | None]:
    """Return the images that are judged, and the validation images where there are some."""
    known = judged.with_classes(classes, asked.renamed)
    columns = sorted({name for row in known.rows for name in row} - {"path", "label", "split"})
    for column in asked.groups:
        if column not in columns:
            have = f"it has {', '.join(columns)}" if columns else "there are none"
            raise PupilaError(
                f"{str(asked.data)!r} has no column {column!r} to group by: {have}."
                f"{nearest(column, columns)}"
            )
    title, cache = asked.data.name or str(asked.data), workspace.cache
    images = read_external(title, known, classes, cache)
    chosen_by = tuple(row for row in listing.rows if row["split"] == _VALIDATION and row["label"])
    labels = {row["label"] for row in chosen_by}
    is_own = {row["split"] for row in judged.rows} == {_VALIDATION}
    if is_own or not all(class_of(label, classes, asked.renamed) for label in labels):
        chosen_by = ()
    if not chosen_by or not images.labelled:
        return images, None
    named = Listing(listing.source, chosen_by).with_classes(classes, asked.renamed)
    frame, skipped = scan_rows(_VALIDATION, named.rows, listing.source, cache)
    skipped = (*images.skipped, *skipped)
    return replace(images, skipped=skipped), Dataset.of(frame, classes, cache)


@dataclass(frozen=True)
class _Judge:
    """Judges models, all on the same images."""

    workspace: Workspace
    asked: Asked
    images: ExternalImages
    validation: Dataset | None
    positive: str

    def model(
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
            specificity=self.asked.specificity,
            validation=self.validation,
            reference=reference,
            groups=self.asked.groups,
            latency_repeats=LATENCY_REPEATS,
        )
        known = TrainingImages.read(artifact.path)
        distance = Bounds().near_duplicate_distance
        return EvaluatedModel(
            name=name,
            artifact=artifact,
            found=performed(job),
            recorded=planned.artifact is not None,
            learned=sum(repeated(known.images, self.images.dataset, distance)) if known else 0,
        )

    def compared(
        self, models: Sequence[EvaluatedModel], teacher: EvaluatedModel | None
    ) -> ExternalDifferences:
        """Compare the models with the teacher, image by image; nothing without labels."""
        if teacher is None or not self.images.labelled:
            return ExternalDifferences(by_place={}, by_group={})
        there, every = self.images.dataset, (*models, teacher)
        answers = [
            PlaceAnswers(name=each.name, probabilities=each.found.probabilities) for each in every
        ]
        place = Place(
            name=self.images.name,
            images=images_of(there, self.asked.groups),
            labelled=True,
            answers=tuple(answers),
        )
        question = Question(
            section=GateSection(),
            specificity=self.asked.specificity,
            cases=tuple(
                Case(entry=each.name, made="", artifact=_side(each), teacher=_side(teacher))
                for each in models
            ),
            classes=there.classes,
            positive=self.positive,
            test=images_of(there),
            validation=None if self.validation is None else images_of(self.validation),
            external=(place,),
        )
        return performed(CompareExternal.of(self.workspace, question))


def _side(model: EvaluatedModel) -> Side | None:
    evaluation, threshold = model.found.evaluation, model.artifact.record.threshold
    return evaluation and Side(name=model.name, evaluation=evaluation, threshold=threshold)
