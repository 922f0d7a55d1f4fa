"""Memory of an exported model, and how far its answers differ from those of another runtime."""

from __future__ import annotations

from pydantic import Field

from pupila.drawing import Drawing
from pupila.measured.base import Count, Difference, Fraction, MeasuredFields


class MicrocontrollerMemory(MeasuredFields):
    """Memory of a model on a microcontroller, as measured with TFLite Micro on this computer."""

    operators: dict[str, Count] = Field(description="How often each operator occurs, by name.")
    flash_bytes: Count = Field(description="Size of the flatbuffer.")
    arena_bytes: Count = Field(description="The smallest arena that the model runs in.")
    activation_bytes: Count = Field(description="Bytes of the arena for images and feature maps.")
    persistent_bytes: Count = Field(description="Bytes of the arena that operators keep.")

    def drawing(self) -> Drawing:
        """Return the memory as a table, for `pupila.MeasuredSection`."""
        named = {
            "flash: the flatbuffer": self.flash_bytes,
            "arena: the smallest that the model runs in": self.arena_bytes,
            "of it, images and feature maps": self.activation_bytes,
            "of it, what operators keep": self.persistent_bytes,
        }
        return Drawing(
            lead="Measured with TFLite Micro on the computer of the run.",
            columns=("Memory", "Bytes"),
            rows=[(name, f"{size:,}") for name, size in named.items()],
        )


class ProbeComparison(MeasuredFields):
    """How far an exported model's answers to random images differ from the original model's."""

    max_difference: float = Field(description="Largest absolute difference of an output.")
    probe_images: Count = Field(description="Images drawn.")


class RuntimeComparison(MeasuredFields):
    """How far the answers of two runtimes to random images differ."""

    probe_images: Count = Field(description="Images drawn.")
    label_agreement: Fraction = Field(description="Fraction of the images given the same answer.")
    max_difference: Difference = Field(description="Largest absolute difference of an output.")
    reference_difference: Difference = Field(
        description="Largest absolute difference from LiteRT's reference kernels, which round in "
        "the same way."
    )
    answer_span: Difference = Field(
        description="Range of the reference's own answers over the images."
    )
