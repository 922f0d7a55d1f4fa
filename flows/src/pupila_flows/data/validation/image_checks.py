"""The rules that every image must follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pupila.data_checks import Severity
from pupila.errors import join_names
from pupila.task import LabelRule
from pupila_flows.recipe.expectations import Bounds


@dataclass(frozen=True)
class Limit:
    """The values that a column may have: the set `allowed`, or an inclusive range."""

    column: str
    allowed: tuple[str, ...] | None = None
    minimum: float | None = None
    maximum: float | None = None

    @property
    def words(self) -> str:
        """The limit in words, such as `2 or more`."""
        if self.allowed is not None:
            return " or ".join(value or "empty" for value in self.allowed)
        if self.maximum is None:
            return f"{self.minimum:g} or more"
        return f"from {self.minimum:g} to {self.maximum:g}"


@dataclass(frozen=True)
class Rule:
    """A rule for every image, which is broken if any of its limits is broken."""

    name: str
    severity: Severity
    limits: tuple[Limit, ...]
    advice: str


def rules(classes: Sequence[str], bounds: Bounds) -> tuple[Rule, ...]:
    """Return the rules that every image must follow.

    `classes` is empty in tasks without classes.
    """
    width, height = bounds.minimum_width, bounds.minimum_height
    darkest, brightest = bounds.minimum_brightness, bounds.maximum_brightness
    return (
        Rule(
            "Every file decodes",
            "error",
            (Limit("error", allowed=("",)),),
            "Replace these files, or take them out of the data.",
        ),
        *([_known_class(classes)] if classes else []),
        Rule(
            f"Every image has {width} × {height} pixels or more",
            "error",
            (Limit("width", minimum=width), Limit("height", minimum=height)),
            "Take thumbnails and icons out of the data, or lower `minimum_width` and "
            "`minimum_height`.",
        ),
        Rule(
            "No image is nearly black or white",
            "warning",
            (Limit("brightness", minimum=darkest, maximum=brightest),),
            "Look at these images: failed exposures and blank frames teach nothing.",
        ),
        Rule(
            "No image is blurred",
            "warning",
            (Limit("sharpness", minimum=bounds.minimum_sharpness),),
            "Look at these images: out of focus or blank, they teach nothing.",
        ),
    )


def _known_class(classes: Sequence[str]) -> Rule:
    return Rule(
        "Every label is a known class",
        "error",
        (Limit("label", allowed=tuple(classes)),),
        f"Correct the labels, or add them to `classes` ({join_names(classes)}).",
    )


def of_labels(rule: LabelRule) -> Rule:
    """Return a task's rule on labels; its column must have the fault of each label, or ""."""
    return Rule(rule.name, rule.severity, (Limit(rule.column, allowed=("",)),), rule.advice)
