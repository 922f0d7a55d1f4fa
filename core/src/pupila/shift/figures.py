"""What the shift suite says of a pupil beside its teacher."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from pupila.evaluation import Estimate
from pupila.shift import Severity


class _Figures(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ShiftStep(_Figures):
    """Pupil and teacher on the same pictures: of one family at one severity, or unaltered."""

    severity: Severity | None = Field(description="None: the images are unaltered.")
    images: int
    accuracy: float
    reference_accuracy: float = Field(description="The teacher's.")
    auc: float | None = Field(description="None where a class has no image.")
    reference_auc: float | None
    fidelity: float = Field(
        description="Correlation of the logits with the teacher's, see `pupila.fidelity`."
    )
    agreement: float = Field(description="Part of the pictures given the same most probable class.")
    mean_difference: float = Field(
        description="Mean difference of the log-odds of the positive class from the teacher's; of "
        "more than two classes the mean size of that of the logits."
    )


class ShiftFamily(_Figures):
    """One family of alterations."""

    name: str
    steps: tuple[ShiftStep, ...] = Field(description="From mild to strong.")

    @property
    def middle(self) -> ShiftStep:
        """The step by which the suite's value is computed."""
        return next(step for step in self.steps if step.severity == "middle")


class Parted(_Figures):
    """An altered image to which pupil and teacher answer otherwise."""

    row: int = Field(description="Of the image, among those of the split.")
    probability: float = Field(description="Of the positive class, as the pupil has it.")
    reference: float = Field(description="The same of the teacher.")


class ShiftFigures(_Figures):
    """How far a pupil answers as its teacher does where images are as elsewhere."""

    reference: str = Field(description="Name of the teacher.")
    runtime: str = Field(description="Name of the runner that answered.")
    split: str
    seed: int
    images: int = Field(description="Of each family at the middle severity.")
    value: Estimate = Field(
        description="Mean over the families of the fidelity at the middle severity."
    )
    validation: Estimate | None = Field(
        default=None,
        description="The same on the validation images, by which choices are made; None where it "
        "was not asked for.",
    )
    unaltered: ShiftStep
    families: tuple[ShiftFamily, ...] = Field(description="First the one of the least fidelity.")
    left_out: tuple[str, ...] = Field(
        default=(),
        description="Families that do not count, as the teacher itself answers nearly the same to "
        "all of their pictures.",
    )
    parted: tuple[Parted, ...] = Field(
        description="Of the worst family at the middle severity, first those most apart."
    )

    @property
    def worst(self) -> ShiftFamily:
        """The family of the least fidelity at the middle severity."""
        return self.families[0]
