"""What an exported model needs, and how far its answers are from those of another runtime."""

from __future__ import annotations

from pydantic import Field

from pupila.measured.base import Count, Difference, Fraction, MeasuredFields


class MicrocontrollerMemory(MeasuredFields):
    """What a model takes on a microcontroller, from TFLite Micro on this computer."""

    operators: dict[str, Count] = Field(description="How often each operator occurs, by name.")
    flash_bytes: Count = Field(description="Size of the flatbuffer.")
    arena_bytes: Count = Field(description="The smallest arena that the model runs in.")
    activation_bytes: Count = Field(description="Part of the arena: images and feature maps.")
    persistent_bytes: Count = Field(description="Part of the arena: what operators keep.")


class ProbeComparison(MeasuredFields):
    """How far an exported model's answers to drawn images are from those of the model itself."""

    max_difference: float = Field(description="Largest absolute difference of an output.")
    probe_images: Count = Field(description="Images drawn.")


class RuntimeComparison(MeasuredFields):
    """How far two runtimes are apart in their answers to drawn images."""

    probe_images: Count = Field(description="Images drawn.")
    label_agreement: Fraction = Field(description="Fraction of the images given the same class.")
    max_difference: Difference = Field(description="Largest absolute difference of an output.")
    reference_difference: Difference = Field(
        description="The same against LiteRT's reference kernels, which round alike."
    )
    answer_span: Difference = Field(
        description="How far the reference's own answers lie apart, from image to image."
    )
