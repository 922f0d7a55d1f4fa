"""The data, external sets and entries of a run, with their evaluations."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from pupila.artifact import Record
from pupila.chance import ChanceCheck
from pupila.evaluation import Estimate, Evaluation, Measurement, RuntimeCheck
from pupila.external import ExternalEvaluation
from pupila.measured import Measured, Timings
from pupila.plugin import CLASSIFICATION
from pupila.shift.evaluation import ShiftEvaluation
from pupila.task import TaskMethods, methods_of
from pupila_flows.results.base import ResultModel


class Check(ResultModel):
    """One check of data validation and its outcome."""

    name: str = Field(description="What was checked, in words: 'No image in two splits'.")
    severity: Literal["error", "warning"] = Field(
        description="Whether a failure stops the run (`error`) or is only reported (`warning`)."
    )
    passed: bool
    observed: str = Field(description="What was found, with figures.")
    advice: str = Field(default="", description="What to do about a failure.")
    images: tuple[str, ...] = Field(default=(), description="Paths of the first offending images.")
    shortcut: bool = Field(
        default=False,
        description="Whether the check looks for a shortcut: a property of the images, such as "
        "their size, that reveals the class.",
    )


class DataSummary(ResultModel):
    """The data of a run and the results of its validation."""

    path: str
    fingerprint: str
    task: str = Field(default=CLASSIFICATION, description="What the models learn.")
    classes: tuple[str, ...]
    positive: str = Field(description="Positive class; empty if there is none.")
    counts: dict[str, dict[str, int]] = Field(
        description="Number of images by split, then by class."
    )
    checks: tuple[Check, ...]
    data_docs: str | None = Field(description="Path of the Data Docs index page.")

    @property
    def methods(self) -> TaskMethods:
        """The methods of the task.

        Raises:
            PupilaError: no installed plugin has the task.
        """
        return methods_of(self.task)

    @property
    def passed(self) -> bool:
        """Whether the run may go on: no check of severity `error` failed."""
        return all(check.passed for check in self.checks if check.severity == "error")


class SkippedImage(ResultModel):
    """An external image file that cannot be read."""

    path: str
    reason: str


class ExternalSet(ResultModel):
    """A set of external images: they come from another source and are used only for evaluation."""

    name: str
    path: str
    fingerprint: str
    images: int
    patients: int | None = Field(description="Number of patients; None if unknown.")
    counts: dict[str, int] | None = Field(
        description="Number of images by class; None without labels."
    )
    skipped: tuple[SkippedImage, ...] = Field(
        default=(), description="Files that cannot be read; no metric includes them."
    )


class ExternalResult(ResultModel):
    """The results of one model on one set of external images."""

    name: str = Field(description="Name of the external set.")
    evaluation: ExternalEvaluation | None = Field(
        default=None,
        description="The model's metrics on the set; None if the model could not be evaluated.",
    )
    differences: dict[str, Estimate] = Field(
        default_factory=dict,
        description="Paired difference, model minus teacher, by metric: accuracy, auc, "
        "sensitivity, specificity. Metrics that cannot be compared are left out.",
    )
    error: str | None = Field(
        default=None, description="Why the model could not be evaluated on the set."
    )


class RuntimeResult(ResultModel):
    """The check of an artifact in one runtime."""

    runtime: str = Field(description="Name of the runner.")
    threads: int | None = Field(
        description="Number of threads requested; None for the recipe's number."
    )
    check: RuntimeCheck | None = Field(
        default=None, description="Results of the check; None if the check did not run."
    )
    failure: str | None = Field(
        default=None,
        description="Why the check did not run, or how far the predictions differ; else None.",
    )


class Entry(ResultModel):
    """One node of the recipe's graph: a teacher or a step, with its artifact and evaluation."""

    name: str
    kind: Literal["teacher", "step"]
    uses: str = Field(description="Name of the plugin, or of the teacher's loader.")
    inputs: tuple[str, ...] = Field(
        default=(), description="Names of the entries that this one was made from."
    )
    config: dict[str, Any] = Field(default_factory=dict)
    seed: int | None = Field(
        default=None, description="Seed of the entry; None if the entry does not depend on a seed."
    )
    repeats: str | None = Field(
        default=None, description="Name of the entry that this one repeats with another seed."
    )
    control: str | None = Field(
        default=None,
        description="Name of the entry's control, which is made in the same way but without a "
        "teacher.",
    )
    against: str | None = Field(
        default=None,
        description="Name of the teacher or step that the recipe says to compare the entry with.",
    )
    reference: str | None = Field(
        default=None,
        description="Name of the model that the entry is compared with, usually a teacher. Of "
        "several teachers, it is the best.",
    )
    taught: bool = Field(
        default=False, description="Whether a teacher was used in making the entry."
    )
    settings: dict[str, Any] = Field(
        default_factory=dict, description="Values that a sweep set, by `step.setting`."
    )
    excluded: dict[str, tuple[str, ...]] = Field(
        default_factory=dict[str, tuple[str, ...]],
        description="Which images were excluded from training: values by manifest column.",
    )
    own_classes: bool = Field(
        default=False,
        description="Whether the settings give the model other classes than the data has, as those "
        "of a filter do.",
    )
    chance: ChanceCheck | None = Field(
        default=None,
        description="For a teacher: whether it is above chance on the validation images.",
    )
    artifact: str | None = Field(
        default=None, description="Digest of the artifact; None if no artifact was made."
    )
    record: Record | None = None
    timings: Timings = Field(
        default_factory=Timings,
        description="Times measured while the artifact was made, by key in `record.measured`.",
    )
    evaluation: Evaluation | None = None
    shift: ShiftEvaluation | None = Field(
        default=None, description="Comparison with the teacher on altered images."
    )
    measurement: Measurement | None = Field(
        default=None, description="Size and speed of a model that was never trained."
    )
    external: tuple[ExternalResult, ...] = Field(
        default=(), description="Results on external images, one for each set."
    )
    not_evaluated: str | None = Field(
        default=None, description="Why the entry was not evaluated, although it is a classifier."
    )
    runtimes: tuple[RuntimeResult, ...] = Field(
        default=(), description="Results of the runtime checks."
    )
    cached: bool = Field(
        default=False, description="Whether the artifact was reused from an earlier run."
    )
    seconds: float = Field(
        default=0, description="Wall time of making the artifact in this run, in seconds."
    )
    error: str | None = Field(
        default=None,
        description="What went wrong, such as why there is no artifact; None if nothing did.",
    )

    @property
    def measured(self) -> Measured:
        """Values and times measured while the artifact was made; empty without an artifact."""
        return self.record.measured.with_timings(self.timings) if self.record else Measured()
