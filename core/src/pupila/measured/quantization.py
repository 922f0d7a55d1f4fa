"""How quantisation changes a model's answers, for the whole model and layer by layer."""

from __future__ import annotations

from pydantic import Field

from pupila.measured.base import Count, Difference, Fraction, MeasuredFields


class FloatComparison(MeasuredFields):
    """A quantised model compared with the float model, on the same validation images."""

    validation_images: Count = Field(description="Images compared, 500 at most.")
    validation_accuracy: Fraction = Field(description="Accuracy of the quantised model.")
    float_accuracy: Fraction = Field(description="Accuracy of the float model.")
    agreement: Fraction = Field(description="Fraction of the images given the same answer by both.")
    divergence: Difference = Field(
        description="Mean of KL(p ‖ q) over images in nats, with p of the float model; in tasks "
        "other than classification, of another distance of answers."
    )
    largest_difference: Difference = Field(
        description="Largest absolute difference of a number in an answer, such as a probability."
    )
    tied: Fraction = Field(
        default=0,
        description="Largest fraction of the images that share the highest probability of a class.",
    )
    float_tied: Fraction = Field(default=0, description="The same for the float model.")


class LayerSensitivity(MeasuredFields):
    """How the model's answers change when only one layer is quantised.

    Wu et al. 2020, "Integer quantization for deep learning inference", section 6.1.
    """

    layer: str = Field(description="Name of the layer.")
    operator: str = Field(default="", description="Operator of the flatbuffer: `CONV_2D`, ….")
    divergence: Difference = Field(
        description="Mean of KL(p ‖ q) over validation images in nats, with the probabilities p of "
        "the float model; rounding can make it slightly negative."
    )
    accuracy: Fraction | None = Field(
        default=None, description="Validation accuracy with only this layer quantised."
    )
    in_float: bool = Field(default=False, description="Whether the layer was left in float.")


class LayerSensitivities(MeasuredFields):
    """Sensitivities of all layers with weights, and which layers stayed in float."""

    sensitivity: tuple[LayerSensitivity, ...] = Field(
        min_length=1, description="The most sensitive layer first."
    )
    within_budget: bool | None = Field(
        default=None,
        description="Whether the loss of accuracy is within the step's `budget`, on the validation "
        "images, which chose the layers.",
    )
