"""Results of a one-class model, and of older methods for comparison."""

from __future__ import annotations

from pydantic import Field

from pupila.measured.base import Interval, MeasuredFields


class OneClassCalibration(MeasuredFields):
    """How logits are mapped to probabilities: the threshold becomes 0.5."""

    logit_threshold: float = Field(description="Logit from which an image is accepted.")
    logit_scale: float = Field(description="Spread of the logits of the class's own images.")
    validation_accepted: Interval = Field(
        description="Fraction of the class's validation images accepted: these chose the threshold."
    )


class OneClassQuality(MeasuredFields):
    """Results of one method on the validation images, which chose its threshold.

    The threshold is the one that accepts the wanted fraction of the class's own images.
    """

    auc: Interval | None = Field(
        default=None, description="Area under the ROC curve; None without other images."
    )
    accepted: Interval = Field(description="Fraction of the class's images accepted.")
    accepted_of_others: Interval | None = Field(
        default=None, description="Fraction of other images accepted; None if there are none."
    )


class OneClassBaselines(MeasuredFields):
    """The learned classifier and older methods on the same features."""

    on_validation: dict[str, OneClassQuality] = Field(
        description="By the method's name: `one-class CNN`, `one-class SVM`, ….",
    )
