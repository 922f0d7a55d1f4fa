"""The recipe: a typed form of the YAML file that describes a run.

The descriptions of the fields appear in the docs (reference) and in the form of the Prefect UI.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)

from pupila.evaluation import LATENCY_REPEATS, SPECIFICITY
from pupila.names import composed, lower_case_name_fault, name_fault
from pupila.pixel_scaling import DESCRIPTION as PREPROCESS
from pupila.pixel_scaling import Preprocess
from pupila.plugin import CLASSIFICATION, Runner, StepPlugin, Task
from pupila.threads import DEFAULT_THREADS
from pupila_flows.recipe.expectations import Bounds
from pupila_flows.recipe.external import ExternalSection
from pupila_flows.recipe.gate import GateSection
from pupila_flows.recipe.plugin_name import plugin_name
from pupila_flows.recipe.publish import PublishSection
from pupila_flows.recipe.reader import READER, ReaderSection
from pupila_flows.recipe.requires import check_requirement
from pupila_flows.recipe.section import Section
from pupila_flows.recipe.shift import ShiftSection
from pupila_flows.recipe.tls import RunnerSection


def _recipe_name(text: str) -> str:
    if fault := lower_case_name_fault(text):
        raise ValueError(fault)
    return text


def _node_name(text: str) -> str:
    if fault := name_fault(text):
        raise ValueError(fault)
    return text


def _check_classes(classes: tuple[str, ...]) -> tuple[str, ...]:
    if not all(name.strip() for name in classes):
        raise ValueError("a class has an empty name")
    classes = tuple(map(composed, classes))
    twice = [name for name, count in Counter(classes).items() if count > 1]
    if twice:
        raise ValueError(f"class {twice[0]!r} is named twice")
    return classes


NodeName = Annotated[str, AfterValidator(_node_name)]
"""Name of a teacher or step; its log files and table rows are named after it."""
ClassName = Annotated[str, AfterValidator(composed)]
ClassNames = Annotated[tuple[str, ...], AfterValidator(_check_classes)]
"""Names of classes; how many there must be depends on the task: see `plan.task_fields`."""
TaskName = Annotated[str, AfterValidator(plugin_name(Task))]


_LAST_SEED = 2**32 - 1

RETRIES = 1
"""Default number of retries after a crash; `run.prefect_tasks` has the rest of the policy."""


class ScreenSection(Section):
    """A filter that screens every image before anything is trained; it only warns."""

    teacher: str = Field(
        description="Teacher that tells images of the right kind from others; it may be an "
        "artifact with classes of its own."
    )
    accepts: ClassName = Field(description="Class of the teacher that every image should have.")


class HardNegativesSection(Section):
    """Images made from the training images, so that a filter learns no shortcut."""

    label: ClassName = Field(description="Class of the made images, which a filter rejects.")
    images: int = Field(default=400, ge=1, le=100_000, description="Number of images to make.")


class DataSection(Section):
    """Where the images are, and what must be true of them."""

    path: str = Field(
        min_length=1,
        description="A class-per-folder tree, a CSV manifest, or what an installed reader reads.",
    )
    reader: ReaderSection | None = Field(default=None, description=READER)
    task: TaskName = Field(
        default=CLASSIFICATION,
        description="What the labels mean, and models learn (see `pupila plugins`).",
    )
    classes: ClassNames | None = Field(
        default=None,
        description="Class names in order; by default alphabetical. In other tasks, what the "
        "labels are about.",
    )
    positive: ClassName | None = Field(
        default=None,
        description="Class whose sensitivity counts; by default the first one. Only a "
        "classification has one.",
    )
    expectations: Bounds = Field(default_factory=Bounds, description="Bounds of data validation.")
    screen: ScreenSection | None = Field(
        default=None, description="Filter that lists the images that do not look like the rest."
    )
    hard_negatives: HardNegativesSection | None = Field(
        default=None,
        description="Images made from the training images and added to them: recoloured, in a "
        "disc on black, drawn, plain, screenshots.",
    )

    def positive_class(self, classes: Sequence[str]) -> str:
        """Return the class whose sensitivity counts; by default the first of `classes`.

        In tasks without classes it is "".
        """
        return (self.positive or classes[0]) if self.task == CLASSIFICATION else ""


class TeacherSection(Section):
    """A trained model to be compressed."""

    former_values: ClassVar[Mapping[str, Mapping[str, str]]] = {"path": {"shelf:": "teacher:"}}

    path: str = Field(
        min_length=1,
        description="Model file, SavedModel folder, or folder of an artifact, which is used as it "
        "is. `teacher:NAME` is the latest teacher that `pupila teacher add` stored as NAME.",
    )
    classes: ClassNames | None = Field(
        default=None,
        description="Class of each output column. An artifact or a stored teacher needs none, as "
        "its record has them.",
    )
    output: str | None = Field(
        default=None,
        description="Kind of output: softmax (the default), logits or sigmoid; in other tasks, a "
        "kind of the task. An artifact or a stored teacher needs none, as its record has it.",
    )
    task: TaskName | None = Field(
        default=None, description="What the model has learned, if that is not the data's task."
    )
    preprocess: Preprocess = Field(default="none", description=PREPROCESS)
    unproven: bool = Field(
        default=False,
        description="Whether a run continues if the teacher is not shown to be above chance on "
        "the validation images. The report and the model card then begin with a warning.",
    )

    @field_validator("path")
    @classmethod
    def _has_no_former_prefix(cls, path: str) -> str:
        for old, new in cls.former_values["path"].items():
            if path.startswith(old):
                raise ValueError(f"the prefix {old} is called {new} now")
        return path


def _one_or_many(value: object) -> object:
    return (value,) if isinstance(value, str | int | float) else value


class StepSection(Section):
    """One step of the graph: a plugin, its inputs and its settings."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True
    )
    former_names: ClassVar[Mapping[str, str]] = {"without": "exclude"}

    use: Annotated[str, AfterValidator(plugin_name(StepPlugin))] = Field(
        description="Name of a technique or exporter (see `pupila plugins`). If several packages "
        "have one of this name, it is `package/name`; so are the names of other plugins."
    )
    inputs: Annotated[tuple[str, ...], BeforeValidator(_one_or_many)] = Field(
        default=(), alias="from", description="Teachers or steps that the step works on, in order."
    )
    config: dict[str, Any] = Field(
        default_factory=dict, alias="with", description="Settings of the plugin."
    )
    exclude: dict[str, Annotated[tuple[str, ...], Field(min_length=1)]] = Field(
        default_factory=dict[str, tuple[str, ...]],
        description="Images to exclude from the step, by column of the manifest and value: "
        "`{source: [acrima]}`. The step is still evaluated on all images. Later steps use all "
        "images unless they exclude some too.",
    )
    against: str | None = Field(
        default=None,
        description="Teacher or step that the step is compared with, by default its teachers. A "
        "chain of small models is compared with a chain of their teachers.",
    )
    control: bool = Field(
        default=True, description="Whether the same student is also trained without a teacher."
    )
    timeout_minutes: float = Field(
        default=180, gt=0, le=30_000, description="Minutes after which each try is stopped."
    )
    retries: int = Field(
        default=RETRIES,
        ge=0,
        description="Number of retries after a crash; each continues from the last checkpoint.",
    )


class OpenSetSection(Section):
    """How every artifact is evaluated as a filter that accepts one class."""

    accepts: str = Field(description="Class that the filter accepts.")
    path: str | None = Field(
        default=None,
        min_length=1,
        description="Images of other kinds that nothing was trained on: a folder with a folder per "
        "group, or a CSV `path,group`.",
    )
    corruptions: bool = Field(
        default=True,
        description="Whether test images of the accepted class are also blurred, darkened, turned, "
        "cropped and so on, to see whether the filter still accepts them.",
    )


class EvaluateSection(Section):
    """How every artifact is evaluated."""

    specificity: float = Field(
        default=SPECIFICITY,
        gt=0,
        lt=1,
        description="Target specificity for the threshold of a model that ships none. The "
        "threshold is chosen on the validation images.",
    )
    latency_repeats: int = Field(
        default=LATENCY_REPEATS,
        ge=5,
        description="Number of timed inferences of one image, after warm-up.",
    )
    runtimes: tuple[Annotated[str, AfterValidator(plugin_name(Runner))], ...] = Field(
        default=(),
        description="Other runtimes in which every artifact of a fitting format is checked, on "
        "some test images: browsers, a microcontroller's interpreter (see `pupila plugins`).",
    )
    threads: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(),
        description="Numbers of threads with which each artifact is checked; by default the "
        "recipe's `threads`.",
    )
    probe_images: int = Field(
        default=50,
        ge=1,
        le=1000,
        description="Number of test images for these checks, spread over all test images.",
    )
    agreement: float = Field(
        default=0.97,
        ge=0,
        le=1,
        description="Smallest fraction of these test images that get the same class as in the "
        "primary runtime of the format. In the primary runtime itself, the class must be the same "
        "as before the export.",
    )
    difference: float = Field(
        default=0.1, ge=0, le=1, description="Largest accepted difference of a probability."
    )
    open_set: OpenSetSection | None = Field(
        default=None, description="Also evaluates every artifact as a filter, on new images."
    )

    @property
    def checks_runtimes(self) -> bool:
        """Whether artifacts are checked in other runtimes or with given numbers of threads."""
        return bool(self.runtimes or self.threads)


class Recipe(Section):
    """A whole run: data, teachers, and a graph of steps."""

    name: Annotated[str, AfterValidator(_recipe_name)] = Field(
        description="Name of the run: lower-case letters, digits and dashes."
    )
    seed: int = Field(
        default=0, ge=0, le=_LAST_SEED, description="Seed of every random choice of the run."
    )
    repeat: int = Field(
        default=1,
        ge=1,
        le=100,
        description="Number of seeds that each training is run with: `seed` and those after it.",
    )
    workers: int = Field(default=2, ge=1, description="Number of steps that may run side by side.")
    threads: int = Field(
        default=DEFAULT_THREADS,
        ge=1,
        description="Number of threads with which each model is trained and run. It does not "
        "depend on the number of cores, because another number gives other models.",
    )
    requires: tuple[Annotated[str, AfterValidator(check_requirement)], ...] = Field(
        default=(),
        description="Packages of plugins that the recipe uses, such as `gentle-pruning>=1.2`. If "
        "one is not installed, that is all that is said, instead of what follows from it.",
    )
    runner: RunnerSection | None = Field(
        default=None, description="Other machines for the steps; evaluation stays on this one."
    )
    data: DataSection = Field(description="The images, and what must be true of them.")
    teachers: dict[NodeName, TeacherSection] = Field(
        default_factory=dict[str, TeacherSection], description="Trained models by name."
    )
    steps: dict[NodeName, StepSection] = Field(
        min_length=1, description="Steps of the graph, by name."
    )
    evaluate: EvaluateSection = Field(
        default_factory=EvaluateSection, description="How every artifact is evaluated."
    )
    shift: ShiftSection | None = Field(
        default=None,
        description="Compares every pupil and its control with the teacher on altered images: test "
        "images, and validation images to choose a model by. Without this section, a gate with "
        "`fidelity` compares only the models that it checks, on test images only.",
    )
    external: dict[NodeName, ExternalSection] = Field(
        default_factory=dict[str, ExternalSection],
        description="Images of other hospitals, by name: every model is evaluated on them, and "
        "nothing is trained or chosen on them.",
    )
    gate: GateSection | None = Field(
        default=None,
        description="What every exported artifact must show before it is published; without a gate "
        "nothing is published.",
    )
    publish: PublishSection | None = Field(
        default=None,
        description="Publishes what passed the gate as a new version of a registry; without a gate "
        "nothing is published.",
    )
    sweep: dict[str, Annotated[tuple[Any, ...], Field(min_length=1)]] = Field(
        default_factory=dict[str, tuple[Any, ...]],
        description="Values that `pupila sweep` tries, by `step.setting`, in all combinations.",
    )
    choose_by: Literal["accuracy", "fidelity"] = Field(
        default="accuracy",
        description="How `pupila sweep` chooses a point. accuracy: by the highest accuracy on the "
        "validation images. fidelity: by the highest fidelity on altered validation images, which "
        "needs a section `shift`.",
    )

    @field_validator("gate")
    @classmethod
    def _fits_task(cls, gate: GateSection | None, info: ValidationInfo) -> GateSection | None:
        data: DataSection | None = info.data.get("data")
        return gate.of_task(data.task) if gate and data else gate

    @field_validator("repeat")
    @classmethod
    def _has_seeds(cls, repeat: int, info: ValidationInfo) -> int:
        last = info.data.get("seed", 0) + repeat - 1
        if last > _LAST_SEED:
            raise ValueError(
                f"takes seeds up to {last}, but the largest is {_LAST_SEED}: lower `seed`"
            )
        return repeat


def model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model in an annotation like `Model`, `Model | None` or `dict[str, Model]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (model_in(argument) for argument in get_args(annotation))
    return next((model for model in inner if model), None)
