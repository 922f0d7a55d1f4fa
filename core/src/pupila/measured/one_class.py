"""Results of a one-class model, and of older methods with which it is compared."""

from __future__ import annotations

from pydantic import Field

from pupila.measured.base import Interval, MeasuredFields


class OneClassCalibration(MeasuredFields):
    """How logits become probabilities: a logit at the threshold becomes a probability of 0.5."""

    logit_threshold: float = Field(description="Logit from which an image is accepted.")
    logit_scale: float = Field(description="Spread of the logits of the class's own images.")
    validation_accepted: Interval = Field(
        description="Fraction accepted of the class's validation images, which chose the threshold."
    )


class OneClassQuality(MeasuredFields):
    """Results of one method on the validation images.

    The method's threshold was chosen on the same images, so that the method accepts a wanted
    fraction of the class's own images.
    """

    auc: Interval | None = Field(
        default=None, description="Area under the ROC curve; None without other images."
    )
    accepted: Interval = Field(description="Fraction of the class's images accepted.")
    accepted_of_others: Interval | None = Field(
        default=None, description="Fraction of other images accepted; None if there are none."
    )


class OneClassBaselines(MeasuredFields):
    """Results of the learned classifier and of older methods on the same features, by method."""

    on_validation: dict[str, OneClassQuality] = Field(
        description="By the method's name: `one-class CNN`, `one-class SVM`, ….",
    )
