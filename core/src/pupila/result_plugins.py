"""Descriptors of plugins that add to the results of a run: metrics, conditions, report sections."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from pupila.plugin import ANY_TASK, CLASSIFICATION, Plugin

FIGURES = frozenset(
    {"accuracy", "agreement", "auc", "brier", "ece", "error", "sensitivity", "specificity"}
)
"""Names of figures and of margins that Pupila has itself, so that no metric may have them."""
_FIELD = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
LIMITS = frozenset({"latency_ms", "size_bytes"})
"""Names of limits of the gate that are not those of a figure."""


@dataclass(frozen=True, kw_only=True)
class Metric(Plugin):
    """A figure of a model's answers that is shown beside those of its task.

    The implementation is `measure(answers, truths, classes)`. `answers` are float64 `(images,
    columns)` and `truths` `(images, …)`, both as the task has them (`pupila.task.TaskMethods`), and
    `classes` names what the answers are about. If `per_image`, it returns the value of each image,
    float `(images,)`, which must not depend on the other images; an image whose label has no value
    is NaN, and the metric is the mean of the others. If not, it returns one number for the whole
    set; NaN if the set has none, as when it lacks a class. Its interval calls it `DRAWS` times
    (`pupila.intervals`), so it should take no longer than a millisecond.
    """

    kind: ClassVar[str] = "metric"
    title: str
    """As tables show it, beginning with a small letter: `log loss`."""
    unit: str = ""
    """What values are in, such as `nats`; empty if they are plain numbers."""
    lower_is_better: bool = False
    """Whether smaller values are better, as of an error or a cost."""
    tasks: frozenset[str] = frozenset({CLASSIFICATION})
    """Names of the tasks whose answers it measures; `ANY_TASK` for all."""
    per_image: bool = True
    """Whether it is a mean of one value for each image."""
    decided: bool = False
    """Whether it measures what a model decides (`pupila.task.TaskMethods.decided`) instead of its
    answers as they are: of a classifier, 1 for the class that it gives an image and 0 for others.
    """
    bounds: tuple[float, float] | None = None
    """Lowest and highest value that an image can have, or without `per_image` the set; None if
    there are none. They end the interval."""

    def fits(self, task: str) -> bool:
        """Return whether it measures answers of a task."""
        return self.tasks == ANY_TASK or task in self.tasks

    @property
    def takes_margin(self) -> bool:
        """Whether a gate can set a margin for it.

        The values of images are compared in pairs, so there must be some, and they must have
        bounds: without them, no test of a mean keeps its level (`pupila.noninferiority`).
        """
        return self.per_image and self.bounds is not None


@dataclass(frozen=True, kw_only=True)
class GateCondition(Plugin):
    """A limit that a recipe can set for every artifact: `gate.limits.NAME`.

    The implementation is `check(model: pupila.condition.CheckedModel)`. If `has_interval`, it
    returns an `Estimate`: the artifact passes if the whole interval keeps the limit, fails if the
    whole interval breaks it, and otherwise the verdict is inconclusive. If not, it returns a number
    that is known exactly, such as a size. It raises `PupilaError` if it cannot say, and the verdict
    is then inconclusive with the error as its reason.
    """

    kind: ClassVar[str] = "condition"
    title: str
    """As sentences and tables have it, beginning with a small letter: `energy per image`."""
    unit: str = ""
    """What values and limits are in, such as `mJ`; empty if they are plain numbers."""
    at_least: bool = False
    """Whether the limit is the lowest value that passes; otherwise it is the highest."""
    has_interval: bool = False
    """Whether the value is an estimate from images; the report then draws its interval."""
    needs_teacher: bool = False
    """Whether only an artifact with a teacher can be checked: `CheckedModel.teacher`."""
    advice: str = ""
    """What to try after a failure, in a sentence or two."""
    tasks: frozenset[str] = ANY_TASK
    """Names of the tasks whose models it can check."""

    def fits(self, task: str) -> bool:
        """Return whether it can check models of a task."""
        return self.tasks == ANY_TASK or task in self.tasks


def field_name_fault(name: str) -> str | None:
    """Return what was expected of the name of a metric or condition; None if it is right."""
    taken = FIGURES | LIMITS
    if _FIELD.fullmatch(name) and name not in taken:
        return None
    return f"lower-case words joined by underscores, and none of {', '.join(sorted(taken))}"


@dataclass(frozen=True, kw_only=True)
class ReportSection(Plugin):
    """A section of the report.

    The implementation is `draw(run: pupila.ReportedRun) -> pupila.Drawing | None`;
    None leaves the section out. If it fails, the report says so in its place.
    """

    kind: ClassVar[str] = "section"
    title: str
    """Heading of the section."""
    template: str = ""
    """`"package:folder/file.html"`, a Jinja template in a package, which gets `Drawing.data`. Its
    values are escaped, and what it gives is checked as `Drawing.svg` is. It cannot include others.
    """


@dataclass(frozen=True, kw_only=True)
class MeasuredSection(ReportSection):
    """A section with a part for each artifact that has a model of measured values.

    The implementation is the model: a class of `pupila.measured.MeasuredFields` with the method
    `drawing(self) -> pupila.Drawing`, and at least one field without a default.
    """
