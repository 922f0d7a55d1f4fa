"""The recipe's section `gate`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from pupila_flows.recipe.section import Section

Margin = Annotated[float, Field(gt=0, lt=1)]

FIDELITY = 0.85
"""Default of `gate.fidelity`: it refuses pupils that failed at another hospital (docs/shift.md)."""


def _known_anchor(value: object) -> object:
    if value in ("first", "none") or (type(value) is int and value > 0):
        return value
    raise ValueError("expected `first`, `none`, or the number of a version")


Anchor = Annotated[Literal["first", "none"] | int, BeforeValidator(_known_anchor)]


class Margins(Section):
    """The largest losses that are accepted; a metric without a margin is not checked."""

    accuracy: Margin | None = Field(
        default=None,
        description="Loss of accuracy, as a fraction: 0.03 is three points. With two classes it is "
        "measured at the threshold that ships, if one does.",
    )
    auc: Margin | None = Field(default=None, description="Loss of the area under the ROC curve.")
    sensitivity: Margin | None = Field(
        default=None,
        description="Loss of sensitivity for the positive class at the threshold that ships, else "
        "at that for `evaluate.specificity`; the same rule chooses the threshold of the model "
        "compared with, on the same validation images.",
    )
    specificity: Margin | None = Field(
        default=None, description="Loss of specificity at these thresholds."
    )

    @property
    def asked(self) -> dict[str, float]:
        """The margins that are set, by field."""
        return self.model_dump(exclude_none=True)


class Limits(Section):
    """Limits that an artifact must keep, independent of other models."""

    size_bytes: int | None = Field(default=None, gt=0, description="Bytes that ship, at most.")
    latency_ms: float | None = Field(
        default=None, gt=0, description="Median time of one image on this machine, at most."
    )
    agreement: Margin | None = Field(
        default=None,
        description="Fraction of the test images that must be answered as by the teacher, at "
        "least: the lower end of its interval counts.",
    )
    accuracy: Margin | None = Field(
        default=None, description="Accuracy, at least: the lower end of its interval counts."
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
        description="Names of sets in `external`; by default all that have labels, and with "
        "`fidelity` all. Written as `[]`, none is asked.",
    )
    margins: Margins | None = Field(
        default=None,
        description="Largest losses against the teacher on each set with labels; by default the "
        "gate's `margins`. Written as `{}`, none is asked.",
    )
    fidelity: Margin | None = Field(
        default=None,
        description="Correlation of the logits with the teacher's on each set, labels or none, at "
        "least: the lower end of its interval counts. By default it is not asked.",
    )


class GateSection(Section):
    """What every exported artifact must show before it is published."""

    former_names: ClassVar[Mapping[str, str]] = {"judges": "steps", "by": "groups"}

    steps: tuple[str, ...] = Field(
        default=(),
        description="Steps that the gate checks; by default the last evaluated one of each branch.",
    )
    margins: Margins = Field(
        default=Margins(accuracy=0.05, auc=0.05, sensitivity=0.05, specificity=0.05),
        description="Largest losses against the teacher, shown on the same test images; by default "
        "0.05 of each, also where only `limits` are given. Written as `{}`, none is asked.",
    )
    fidelity: Margin | None = Field(
        default=FIDELITY,
        description="Fidelity to the teacher on altered images (see `shift`), at least: the lower "
        "end of its interval counts. Asked of models with a teacher; `null` asks for none.",
    )
    published: Margins | None = Field(
        default=None,
        description="The same against what is published now; by default the same margins. Written "
        "as `{}`, nothing is compared with it.",
    )
    anchor: Anchor = Field(
        default="first",
        description="A version that the margins of `published` apply to too, so that many small "
        "losses do not add up: the first one of a step's name, or a number; `none` for none.",
    )
    groups: tuple[str, ...] = Field(
        default=(),
        description="Columns of the manifest: the margins hold for the test images of each value "
        "too, and for those without one.",
    )
    limits: Limits = Field(
        default_factory=Limits, description="Size, time, agreement and accuracy to keep to."
    )
    external: ExternalGate = Field(
        default_factory=ExternalGate,
        description="What is asked on external images, if the recipe names some.",
    )

    @property
    def against_published(self) -> Margins:
        return self.published or self.margins

    @property
    def on_external(self) -> Margins:
        return self.external.margins or self.margins

    @property
    def words(self) -> str:
        """One line on what the gate asks of an artifact; it marks what is asked only by default."""
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
        """Whether the gate asks anything of a first version, with no other to compare it with."""
        elsewhere = self.external.fidelity is not None or self.on_external.asked
        asked = self.margins.asked or self.limits.asked or self.fidelity is not None
        return bool(asked or elsewhere)


def _listed(section: Margins | Limits) -> str:
    return ", ".join(f"{field} {value:.10g}" for field, value in section.asked.items())
