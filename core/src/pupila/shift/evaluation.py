"""The results of the shift suite: how a pupil answers, compared with its teacher."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from pupila.evaluation import Estimate
from pupila.shift import Severity


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ShiftMetrics(_Model):
    """Metrics of pupil and teacher on the same images, altered or unaltered.

    Altered images are those of one family of alterations at one severity.
    """

    severity: Severity | None = Field(description="None: the images are unaltered.")
    images: int
    accuracy: float
    reference_accuracy: float = Field(description="Accuracy of the teacher.")
    auc: float | None = Field(description="None if a class has no image.")
    reference_auc: float | None
    fidelity: float = Field(
        description="Correlation of the pupil's logits with the teacher's, see `pupila.fidelity`."
    )
    agreement: float = Field(
        description="Fraction of the images for which pupil and teacher have the same most "
        "probable class."
    )
    mean_difference: float = Field(
        description="Mean of the pupil's minus the teacher's log-odds of the positive class. With "
        "more than two classes, the absolute value of the mean difference of each class's logit, "
        "averaged over the classes."
    )


class ShiftFamily(_Model):
    """The metrics of one family of alterations at each severity."""

    name: str
    steps: tuple[ShiftMetrics, ...] = Field(description="From mild to strong.")

    @property
    def middle(self) -> ShiftMetrics:
        """The metrics at the middle severity, from which the suite's value is computed."""
        return next(step for step in self.steps if step.severity == "middle")


class Disagreement(_Model):
    """An altered image to which pupil and teacher give different answers."""

    row: int = Field(description="Row of the image in the split.")
    probability: float | None = Field(
        description="The pupil's probability of the positive class; None in a task without classes."
    )
    reference: float | None = Field(description="The teacher's.")
    answer: str = Field(default="", description="The pupil's answer in words.")
    other: str = Field(default="", description="The teacher's.")


class ShiftEvaluation(_Model):
    """How well a pupil agrees with its teacher on altered images."""

    reference: str = Field(description="Name of the teacher.")
    runtime: str = Field(description="Name of the runner that ran the pupil.")
    split: str
    seed: int
    images: int = Field(description="Number of images of a family at the middle severity.")
    value: Estimate = Field(
        description="Mean over the families of the fidelity at the middle severity."
    )
    validation: Estimate | None = Field(
        default=None,
        description="The same value on the validation images, on which choices between models are "
        "based; None if it was not computed.",
    )
    unaltered: ShiftMetrics
    families: tuple[ShiftFamily, ...] = Field(description="The lowest fidelity first.")
    left_out: tuple[str, ...] = Field(
        default=(),
        description="Families that do not count, because the teacher gives nearly the same answer "
        "to all of their images.",
    )
    disagreements: tuple[Disagreement, ...] = Field(
        description="Images of the worst family at the middle severity on which pupil and teacher "
        "differ most, largest difference first."
    )

    @property
    def worst(self) -> ShiftFamily:
        """The family with the lowest fidelity at the middle severity."""
        return self.families[0]
