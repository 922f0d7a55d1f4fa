"""How a model that knows one class tells it from others, beside older methods."""

from __future__ import annotations

from pydantic import Field

from pupila.measured.base import Interval, MeasuredFields


class OneClassCalibration(MeasuredFields):
    """How logits became probabilities: 0.5 stands at the threshold."""

    logit_threshold: float = Field(description="Logit from which an image is accepted.")
    logit_scale: float = Field(description="Logits by which the class itself spreads.")
    validation_accepted: Interval = Field(
        description="Fraction of the class's validation images accepted: these chose the threshold."
    )


class OneClassQuality(MeasuredFields):
    """How one method does on the validation images, which chose its threshold.

    That is the one that accepts the wanted part of the class's own images.
    """

    auc: Interval | None = Field(
        default=None, description="Area under the ROC curve; None without images of others."
    )
    accepted: Interval = Field(description="Fraction of the class's images accepted.")
    accepted_of_others: Interval | None = Field(
        default=None, description="Fraction of other images accepted; None where there are none."
    )


class OneClassBaselines(MeasuredFields):
    """The learned classifier and older methods on the same features."""

    on_validation: dict[str, OneClassQuality] = Field(
        description="By the method's name: `one-class CNN`, `one-class SVM`, ….",
    )
