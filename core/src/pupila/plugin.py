"""Descriptors of plugins: what a plugin declares about itself without importing its code.

`implementation` names a callable as `"module:attribute"`. The callable is imported only in the
process that runs it, so listing plugins never imports TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict


@dataclass(frozen=True)
class GivenModel:
    """What is known of an input of a step before a run; None where it is not known yet."""

    name: str
    """Name of the teacher or step."""
    format: str | None = None
    task: str | None = None
    classes: tuple[str, ...] | None = None
    """Classes of its output; in other tasks than classification, what is named."""
    size: tuple[int, int] | None = None
    """Height and width of its input in pixels."""


@dataclass(frozen=True)
class AddedStep:
    """A step that the settings of another step ask for; a run makes it like those of its recipe."""

    name: str
    use: str
    """Name of its plugin, which may be of another package."""
    inputs: tuple[str, ...]
    """Names of teachers and steps, added ones among them."""
    config: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Its settings, as `with` of a recipe has them."""


class Config(BaseModel):
    """Base class of every plugin's settings: frozen; refuses unknown fields, infinity and NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    former_names: ClassVar[Mapping[str, str]] = {}
    """Settings that were renamed, as `{"old": "new"}`. If a recipe has an old name, the error gives
    the new name. The former names of base classes count too."""
    former_values: ClassVar[Mapping[str, Mapping[str, str]]] = {}
    """Values of settings that were renamed, as `{"setting": {"old": "new"}}`."""

    def uses(self) -> Sequence[Plugin]:
        """Return the other plugins that the step's result depends on.

        If such a plugin has a new version, the step runs again.
        """
        return ()

    def check_inputs(self, count: int) -> None:
        """Make sure, before a run, that these settings fit a step with `count` inputs.

        Raises:
            PupilaError: the settings do not fit.
        """

    def check_models(self, models: Sequence[GivenModel]) -> None:
        """Make sure, before a run, that these settings fit the models of a step's inputs.

        Raises:
            PupilaError: the settings do not fit.
        """

    def warnings(self, models: Sequence[GivenModel]) -> Iterable[str]:
        """Return what a user should know before a run, although the settings fit.

        `models` are those of the step's inputs, as `check_models` gets them.
        """
        del models
        return ()

    def added_steps(self, step: str, models: Sequence[GivenModel]) -> Sequence[AddedStep]:
        """Return the steps that these settings of `step` ask for, each after its inputs.

        The last of them becomes the last input of `step`. `models` are what the first input of
        `step` is made from: that input, then its own first input, and so on.

        Raises:
            PupilaError: the settings ask for steps that cannot be made from these models.
        """
        del step, models
        return ()

    @property
    def own_classes(self) -> tuple[str, ...] | None:
        """Classes of the model that a step with images makes; None if they are those of the data.

        A model with classes of its own, such as a filter, is not evaluated on the data, and the
        gate does not check it.
        """
        return None

    def check_classes(self, classes: Sequence[str]) -> None:
        """Make sure, before a run, that these settings fit data with these classes.

        Raises:
            PupilaError: the settings do not fit.
        """

    def for_task(self, task: Task) -> Self:
        """Return these settings as they are for data of a task, before a run.

        Defaults that do not fit the task are replaced.

        Raises:
            PupilaError: a setting that was given does not fit.
        """
        return self


def import_object(name: str) -> Callable[..., Any]:
    """Import and return the callable that a text `"module:attribute"` names."""
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """Base of all descriptors: a plugin's name, one-line summary and where its code is."""

    kind: ClassVar[str]
    name: str
    """Name in recipes and on the command line: lower-case words joined by dashes; of metrics and
    conditions, which are fields of a recipe, by underscores. In one package, two plugins of a kind
    must have two names."""
    summary: str
    """One line of 10 to 100 characters for lists, without a full stop."""
    implementation: str
    """Where the code is, as `"module:attribute"`. It is imported when it is used."""
    environment: Callable[[], str] | None = None
    """Function that returns a text on what results depend on besides Python packages, such as the
    version of a browser or of JavaScript packages. When the text changes, results are made again.
    """

    @classmethod
    def namespace(cls) -> str:
        """Return the kind of plugins among which a name must be unique."""
        return cls.kind

    def load(self) -> Callable[..., Any]:
        """Import and return the plugin's implementation."""
        return import_object(self.implementation)


ANY_FORMAT = frozenset({"*"})
"""Value of `accepts` for a step that only needs answers: any format that a runner opens."""
ANY_TASK = frozenset({"*"})
"""Value of `tasks` for a step that works whatever its models have learned."""
CLASSIFICATION = "classification"
"""Name of the task that data and models have unless something else is said."""
LABEL_COLUMNS = ("label",)
"""Columns of a CSV that hold a label that is one text."""


@dataclass(frozen=True, kw_only=True)
class StepPlugin(Plugin):
    """A plugin that a step of a recipe can name: a technique or an exporter.

    The implementation is a function that takes a `Step` and returns a `StepResult`.
    """

    accepts: frozenset[str]
    """Formats that the inputs may have; empty with `max_inputs=0`. `ANY_FORMAT` stands for all
    formats that installed runners open; `PluginRegistry` replaces it by these formats."""
    produces: str
    """Format of the output; empty if the output has the format of the first input."""
    config: type[Config] = Config
    """Class of the settings, which a recipe gives in `with`."""
    min_inputs: int = 1
    """Smallest number of inputs."""
    max_inputs: int | None = 1
    """Largest number of inputs; None means any number."""
    needs_data: bool = False
    """Whether it needs images. `Step.dataset` then has those of training and validation."""
    tasks: frozenset[str] = frozenset({CLASSIFICATION})
    """Names of the tasks whose data and models it can work on; `ANY_TASK` for all."""
    evaluated: bool = True
    """Whether the output is a model that can be evaluated; a web site, for example, is not."""
    features_only: bool = False
    """Whether the step uses the features of its inputs but not their answers. The inputs' classes
    may then differ from those of the data; the output has the classes of the data."""
    answers_as_last: bool = False
    """Whether the output's answers are of the same kind as those of the last input alone, as in a
    chain of models. The other inputs may then have other tasks and classes than the data, and the
    output is compared with the teacher of the last one."""
    uses_workers: bool = False
    """Whether the step runs subtasks in `Step.worker_pool` and mostly waits for them."""

    @classmethod
    def namespace(cls) -> str:
        """Return the namespace that techniques and exporters share: a step may name either."""
        return "step"

    def can_do(self, task: str) -> bool:
        """Return whether the step works on data and models of a task."""
        return self.tasks == ANY_TASK or task in self.tasks

    def answering(self, inputs: Sequence[str]) -> Sequence[str]:
        """Return the inputs whose answers the step works on, given the names of all of them."""
        if self.features_only:
            return ()
        return inputs[-1:] if self.answers_as_last else inputs

    def output_format(self, input_formats: Sequence[str]) -> str:
        """Return the format of the output, given the formats of the inputs; empty if unknown."""
        return self.produces or (input_formats[0] if input_formats else "")


@dataclass(frozen=True, kw_only=True)
class Technique(StepPlugin):
    """A plugin that makes a new model from models and data, such as `distill`."""

    kind: ClassVar[str] = "technique"
    seeded: bool = False
    """Whether another seed gives another model. If so, a recipe's `repeat` runs several seeds."""
    control: str | None = None
    """Name of the control: a technique that trains in the same way without a teacher.

    The control takes no inputs. Its settings are a subset of this technique's settings, and with
    them it takes the same number of steps per epoch. Unless a recipe says `control: false`, the
    control runs too, so that the report shows what the teacher adds.
    """


@dataclass(frozen=True, kw_only=True)
class Exporter(StepPlugin):
    """A plugin that converts a model to another format without changing its answers."""

    kind: ClassVar[str] = "exporter"
    shows_metrics: bool = False
    """Whether the output shows the metrics of the inputs on the test images, such as a web site. If
    so, the step runs after the inputs are evaluated, and gets their metrics as
    `Step.input_metrics`. The output must not be a model."""


@dataclass(frozen=True, kw_only=True)
class Student(Plugin):
    """A small architecture that recipes can name as `student`.

    The implementation is `build(input: InputSpec, classes: int) -> keras.Model`. The model takes
    raw RGB `(batch, height, width, 3)` in 0..255 and returns logits `(batch, classes)`.
    `pupila.training.student.build_student` calls the implementation, and refuses a model that does
    anything else.
    """

    kind: ClassVar[str] = "student"
    size: int
    """Default height and width of the input in pixels; a recipe may set another size."""


@dataclass(frozen=True, kw_only=True)
class Loader(Plugin):
    """A plugin that reads a model file that a user brings.

    `recognises` tells whether the loader reads a file, by names and magic bytes only. The
    implementation is `load(source: Path, output: OutputSpec, folder: Path) -> StepResult`. `load`
    writes the model into `folder` in the format `produces`, and raises `PupilaError` for a file
    that it must refuse.
    """

    kind: ClassVar[str] = "loader"
    produces: str
    """Format of the artifact. It is empty for a loader that refuses every file that it recognises,
    so that recipes with such a file fail at once."""
    recognises: Callable[[Path], bool]
    """Function that returns whether a path is of such a file or folder. It reads a few bytes at
    most, since it is asked about every model file."""
    builds_in_scaling: bool = False
    """Whether `load` takes a fourth argument, `scaling: PixelScaling | None`. It is the scaling of
    pixels that was done outside the model, the recipe's `preprocess`. `load` builds it into the
    model, so that the artifact takes raw RGB in 0..255. Loaders without it get three arguments, and
    recipes with `preprocess` for their files are refused."""


@dataclass(frozen=True, kw_only=True)
class Runner(Plugin):
    """A plugin that opens artifacts of one format in a runtime.

    The implementation is `open(artifact: Artifact, threads: int) -> OpenModel`.
    """

    kind: ClassVar[str] = "runner"
    format: str
    """Format of the artifacts that it opens."""
    primary: bool = True
    """Whether artifacts of the format `format` are evaluated in this runner. A runner that is not
    primary only runs runtime checks, and only if a recipe names it in `evaluate.runtimes`."""
    threaded: bool = True
    """Whether the runner can compute with several threads."""
    stages: str | None = None
    """`"module:attribute"` of a function `stages(artifact: Artifact) -> Sequence[Stage]`, if models
    of this format have several stages, and the open model is a `pupila.runtime.StagedModel`."""
    check: str | None = None
    """`"module:attribute"` of a function `check(artifact: Artifact) -> None`. It is called before
    any artifact of the format is imported or opened, and raises `PupilaError` for an artifact that
    would run code or reach outside the model."""


@dataclass(frozen=True, kw_only=True)
class Task(Plugin):
    """What a model learns: what its labels and its answers mean, and how two models are compared.

    Its implementation is a subclass of `pupila.task.TaskMethods`, which is called without
    arguments.
    """

    kind: ClassVar[str] = "task"
    training: str
    """`"module:attribute"` of a subclass of `pupila.training.task.TaskTraining`, which is called
    with the names of the data's classes. It may import Keras."""
    label_columns: tuple[str, ...]
    """Columns of a CSV manifest that hold the label of an image. The CSV's may begin with the name
    of what the label is about (see `has_named_columns`)."""
    output_kinds: tuple[str, ...]
    """Kinds of output that a model of this task may have; a recipe's teacher has the first one by
    default."""
    default_classes: tuple[str, ...] = ("object",)
    """Names of what the labels are about, if a recipe has no `data.classes`. If it is empty, the
    names are the distinct labels of the images."""
    mixable: bool = False
    """Whether the labels and answers of two pictures have a mean that means something. If not,
    pictures are not mixed (`Augmentation.mixup`), and answers to the views of an image are not
    averaged."""
    min_classes: int = 1
    max_classes: int | None = 1
    """Fewest and most names that `data.classes` and `classes` of a teacher may have; None means any
    number."""

    @property
    def takes_folders(self) -> bool:
        """Whether the name of an image's folder can be its label, so that no CSV is needed."""
        return self.label_columns == LABEL_COLUMNS

    @property
    def has_named_columns(self) -> bool:
        """Whether label columns may begin with the name of what they are about, as in `disc_x`."""
        return not self.takes_folders and bool(self.default_classes)


@dataclass(frozen=True, kw_only=True)
class Command(Plugin):
    """A command of the command line, `pupila NAME`.

    The implementation is a function with Typer's annotations, or a `typer.Typer` with several
    commands. It is imported when the command is used: `pupila --help` lists name and summary.
    """

    kind: ClassVar[str] = "command"
    panel: str = ""
    """Panel of `pupila --help` that lists it; by default it has the name of the package."""
    example: str = ""
    """A command line that `pupila NAME --help` shows: `pupila greet Ada`."""


@dataclass(frozen=True, kw_only=True)
class DataCheck(Plugin):
    """A check of all images before anything is trained on them, in every run with its package.

    The implementation is `check(images: pandas.DataFrame, config) -> Fact`, and may return an
    expectation of Great Expectations instead, which is then evaluated on the table. The table has a
    row for each image, with its path, split and label, and the columns of
    `pupila.scanning.NUMBERS`. A recipe sets the bounds, the fields of `config`, in
    `data.expectations.checks`.
    """

    kind: ClassVar[str] = "check"
    config: type[Config] = Config
    """Class of the bounds. Each has a default, since every run makes the check."""
    tasks: frozenset[str] = ANY_TASK
    """Names of the tasks whose data it can check; `ANY_TASK` for all."""

    def can_check(self, task: str) -> bool:
        """Return whether it can check the data of a task."""
        return self.tasks == ANY_TASK or task in self.tasks


@dataclass(frozen=True, kw_only=True)
class Shift(Plugin):
    """A family of alterations: one way in which images from another site differ from the data.

    The implementation is `alter(images, severity, random) -> images`. It takes uint8
    `(n, height, width, 3)` and returns values 0..255 of the same shape and any type. `severity` is
    `mild`, `middle` or `strong`. All random numbers come from `random`, a `numpy.random.Generator`,
    so that a seed always gives the same images. `pupila.shift.alter` calls the implementation.
    """

    kind: ClassVar[str] = "shift"
