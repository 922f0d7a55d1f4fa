"""The recipe's section `gate`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, ConfigDict, Field, PositiveFloat

from pupila.errors import PupilaError
from pupila.plugin import CLASSIFICATION
from pupila.task import methods_of
from pupila_flows.recipe.section import Section

Margin = Annotated[float, Field(gt=0, lt=1)]

MARGIN = 0.05
"""Default of every margin but that of `error`, which is the task's."""
FIDELITY = 0.85
"""Default of `gate.fidelity`: it refuses pupils that failed at another hospital (docs/shift.md)."""


def _known_anchor(value: object) -> object:
    if value in ("first", "none") or (type(value) is int and value > 0):
        return value
    raise ValueError("expected `first`, `none`, or the number of a version")


Anchor = Annotated[Literal["first", "none"] | int, BeforeValidator(_known_anchor)]


class Margins(Section):
    """The largest losses that are accepted; a metric without a margin is not checked.

    Other fields are the names of metrics that packages add: see `pupila.Metric`.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, PositiveFloat] = Field(  # pyright: ignore[reportIncompatibleVariableOverride]
        init=False
    )

    accuracy: Margin | None = Field(
        default=None,
        description="Loss of accuracy, as a fraction: 0.03 is three points. With two classes, the "
        "accuracy is measured at the threshold that ships with the model, if there is one. In "
        "other tasks, this is the fraction of images that are answered right.",
    )
    error: Annotated[float, Field(gt=0)] | None = Field(
        default=None,
        description="Increase of the mean error, in the unit of the task: for localization, in "
        "percent of the image's width. Only tasks whose answers have an error take it.",
    )
    auc: Margin | None = Field(default=None, description="Loss of the area under the ROC curve.")
    sensitivity: Margin | None = Field(
        default=None,
        description="Loss of sensitivity for the positive class. The artifact's threshold is the "
        "one that ships, or else the one for `evaluate.specificity`. The other model's threshold "
        "is chosen by the same rule on the same validation images.",
    )
    specificity: Margin | None = Field(
        default=None, description="Loss of specificity, at the same thresholds as sensitivity."
    )

    @property
    def asked(self) -> dict[str, float]:
        """The margins that are set, by field."""
        return self.model_dump(exclude_none=True)


def default_margins(task: str) -> Margins:
    """Return the default margin of everything that models of a task are compared by.

    A task that is not installed, which is a mistake in the recipe, counts as one without an error.
    """
    if task == CLASSIFICATION:
        return Margins(accuracy=MARGIN, auc=MARGIN, sensitivity=MARGIN, specificity=MARGIN)
    try:
        measure = methods_of(task).error_measure
    except PupilaError:
        measure = None
    return Margins(accuracy=MARGIN, error=measure.margin if measure else None)


class Limits(Section):
    """Limits that an artifact must keep, independent of other models.

    Other fields are the names of conditions that packages add: see `pupila.GateCondition`.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float] = Field(  # pyright: ignore[reportIncompatibleVariableOverride]
        init=False
    )

    size_bytes: int | None = Field(
        default=None, gt=0, description="Largest size of the files that ship, in bytes."
    )
    latency_ms: float | None = Field(
        default=None, gt=0, description="Largest median time of one image on this machine."
    )
    agreement: Margin | None = Field(
        default=None,
        description="Smallest fraction of the test images on which the artifact predicts the same "
        "class as its teacher. The lower end of the fraction's interval must reach it.",
    )
    accuracy: Margin | None = Field(
        default=None,
        description="Smallest accuracy. The lower end of the accuracy's interval must reach it.",
    )

    @property
    def asked(self) -> dict[str, float]:
        """The limits that are set, by field."""
        given = self.model_dump(exclude_none=True)
        return {field: float(limit) for field, limit in given.items()}


class ExternalGate(Section):
    """What the gate asks on external images."""

    sets: tuple[str, ...] | None = Field(
        default=None,
        description="Names of the sets in `external` that the gate checks. By default, these are "
        "the sets with labels; with `fidelity`, all sets. `[]` checks none.",
    )
    margins: Margins | None = Field(
        default=None,
        description="Largest losses against the teacher on each set with labels; by default the "
        "gate's `margins`. `{}` checks none.",
    )
    fidelity: Margin | None = Field(
        default=None,
        description="Smallest correlation of the logits with the teacher's on each set, with or "
        "without labels. The lower end of the correlation's interval must reach it. By default, "
        "the correlation is not checked.",
    )


class GateSection(Section):
    """What every exported artifact must show before it is published."""

    former_names: ClassVar[Mapping[str, str]] = {"judges": "steps", "by": "groups"}

    steps: tuple[str, ...] = Field(
        default=(),
        description="Steps that the gate checks; by default the last evaluated step of each "
        "branch.",
    )
    margins: Margins = Field(
        default=default_margins(CLASSIFICATION),
        description="Largest losses against the teacher on the same test images; by default 0.05 "
        "for each metric of the task, and for its error what the task says, even if only `limits` "
        "are given. Metrics of installed packages, such as `log_loss`, are named in the same way. "
        "`{}` checks none.",
    )
    fidelity: Margin | None = Field(
        default=FIDELITY,
        description="Smallest fidelity to the teacher on altered images (see `shift`). The lower "
        "end of the fidelity's interval must reach it. Only models with a teacher are checked; "
        "`null` checks none.",
    )
    published: Margins | None = Field(
        default=None,
        description="Largest losses against the version that is published now; by default the "
        "same as `margins`. `{}` compares nothing with it.",
    )
    anchor: Anchor = Field(
        default="first",
        description="A second published version that the margins of `published` apply to, so that "
        "many small losses do not add up. `first` is the first version with an artifact of the "
        "step's name; a number is that version; `none` turns this off.",
    )
    groups: tuple[str, ...] = Field(
        default=(),
        description="Columns of the manifest. The margins must also hold for the test images of "
        "each value of a column, and for those without a value.",
    )
    limits: Limits = Field(
        default_factory=Limits,
        description="Limits on size, time, agreement and accuracy, and by name on what the "
        "conditions of installed packages measure, such as `peak_memory_bytes`.",
    )
    external: ExternalGate = Field(
        default_factory=ExternalGate,
        description="What the gate checks on external images, if the recipe names any.",
    )

    def of_task(self, task: str) -> GateSection:
        """Return the section with the default margins of a task."""
        if task == CLASSIFICATION or "margins" in self.model_fields_set:
            return self
        values = {name: getattr(self, name) for name in type(self).model_fields}
        values["margins"] = default_margins(task)
        return self.model_construct(self.model_fields_set, **values)

    @property
    def against_published(self) -> Margins:
        """The margins against published versions: `published`, or else `margins`."""
        return self.published or self.margins

    @property
    def on_external(self) -> Margins:
        """The margins on external images: `external.margins`, or else `margins`."""
        return self.external.margins or self.margins

    @property
    def names(self) -> frozenset[str]:
        """The names of all margins and limits that are set anywhere."""
        sections = (self.margins, self.against_published, self.on_external, self.limits)
        return frozenset(name for section in sections for name in section.asked)

    @property
    def words(self) -> str:
        """One line on what the gate asks of an artifact; defaults are marked as defaults."""
        unsaid = "" if "margins" in self.model_fields_set else " by default (`margins: {}`: none)"
        parts = [f"margins of {_listed(self.margins) or 'nothing'}{unsaid} against the teacher"]
        if self.published is not None:
            parts.append(f"of {_listed(self.published) or 'nothing'} against what is published")
        if self.limits.asked:
            parts.append(f"limits of {_listed(self.limits)}")
        if self.fidelity is not None:
            unsaid = "" if "fidelity" in self.model_fields_set else " by default"
            parts.append(f"fidelity from {self.fidelity:.10g}{unsaid} on altered images")
        if self.external.margins is not None:
            parts.append(f"margins of {_listed(self.external.margins) or 'nothing'} elsewhere")
        if self.external.fidelity is not None:
            parts.append(f"fidelity from {self.external.fidelity:.10g} elsewhere")
        return ", ".join(parts)

    @property
    def asks(self) -> bool:
        """Whether the gate asks anything at all."""
        return self.asks_of_first or bool(self.against_published.asked)

    @property
    def asks_of_first(self) -> bool:
        """Whether the gate asks anything of an artifact before any version is published."""
        elsewhere = self.external.fidelity is not None or self.on_external.asked
        asked = self.margins.asked or self.limits.asked or self.fidelity is not None
        return bool(asked or elsewhere)


def _listed(section: Margins | Limits) -> str:
    return ", ".join(f"{field} {value:.10g}" for field, value in section.asked.items())
