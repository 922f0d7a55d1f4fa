"""Results and history of an architecture search."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pupila.measured.base import (
    Clock,
    Count,
    Fraction,
    Interval,
    MeasuredFields,
    Milliseconds,
    Seconds,
)
from pupila.measured.teachers import TeacherQuality

FileBytes = Annotated[int, Field(ge=1, description="Size of the int8 file, as estimated.")]


class GenomeBlock(MeasuredFields):
    """One block of a searched architecture: its layer type and settings."""

    mark: int | None = Field(
        default=None, description="Number of the block, which descendants of the model keep."
    )
    kind: str = Field(description="`convolution`, `separable`, `inverted`, ….")
    filters: Count = Field(description="Output channels.")
    kernel: int = Field(default=3, description="Side of the kernel in positions.")
    stride: int = Field(default=1, description="Positions from one output to the next.")
    normalised: bool = Field(default=False, description="Whether batch normalisation follows.")
    activation: str = Field(default="", description="`relu6`, `hard_swish`, ….")
    pooling: str = Field(default="none", description="Kind of 2 × 2 pooling after the block.")
    hidden: int = Field(default=0, description="Channels inside an inverted residual; 0: none.")
    squeeze: int = Field(default=0, description="Channels of squeeze-excitation; 0: none.")
    shortcut: bool = Field(
        default=False, description="Whether the block's input is added to its output."
    )


class GenomeHead(MeasuredFields):
    """Settings of the layers between the last feature map and the answer."""

    flatten: bool = Field(
        default=False, description="Whether the head reads all positions; if not, their mean."
    )
    units: int = Field(default=0, description="Units of a hidden dense layer; 0: none.")


class Genome(MeasuredFields):
    """A searched architecture: its blocks from image to answer, and its head."""

    blocks: tuple[GenomeBlock, ...] = Field(min_length=1, description="From image to answer.")
    head: GenomeHead = GenomeHead()


class BlockSize(MeasuredFields):
    """Size of a block's output, and number of the block's parameters."""

    rows: Count = Field(description="Rows of the output.")
    columns: Count = Field(description="Columns of the output.")
    channels: Count = Field(description="Channels of the output.")
    parameters: Count = Field(
        description="Parameters in the exported file, with batch normalisation folded in."
    )


class Ancestor(MeasuredFields):
    """A model in the family tree of the chosen model: the chosen model itself or an ancestor."""

    name: str
    parents: tuple[str, ...] = Field(default=(), description="Names of the parent models.")
    change: str = Field(default="", description="What was changed in the parent, in words.")
    preserved: bool = Field(
        default=False,
        description="Whether the change left the parent's outputs as they were, before training.",
    )
    generation: Count | None = Field(
        default=None, description="Generation of the model; 0 for the first models."
    )


class SearchedModel(Ancestor):
    """A model that the search trained, with everything known about it."""

    genome: Genome | None = Field(default=None, description="Architecture of the model.")
    sizes: tuple[BlockSize, ...] = Field(
        default=(), description="Size of each block, then of the head."
    )
    bytes: FileBytes
    macs: Count | None = Field(default=None, description="Multiply-accumulates for one image.")
    seed: int | None = Field(default=None, description="Seed of the weights and batches.")
    epochs: Count | None = Field(default=None, description="Epochs trained, over all stages.")
    stage: str | None = Field(
        default=None, description="Stage of training after which the model was measured."
    )
    validation_loss: float | None = Field(default=None, description="Loss on validation images.")
    validation_fidelity: float | None = Field(
        default=None,
        description="Fidelity to the teacher on altered validation images, if models are chosen by "
        "fidelity.",
    )
    latency_ms: Milliseconds | None = Field(
        default=None, description="Median time of one image; None if it was not timed."
    )
    validation_accuracy: Interval = Field(description="Accuracy with its 95 % interval.")


class Candidate(MeasuredFields):
    """A model that the search proposed; without accuracy if training failed or time ran out."""

    name: str
    bytes: FileBytes
    generation: Count | None = Field(
        default=None, description="Generation of the model; 0 for the first models."
    )
    seconds: Seconds | None = Field(
        default=None, description="Search time when the candidate's last training ended."
    )
    failed: str | None = Field(default=None, description="Why it could not be trained.")
    skipped: str | None = Field(default=None, description="Why it was not trained.")
    validation_accuracy: Fraction | None = Field(
        default=None, description="Validation accuracy after the best stage."
    )
    validation_loss: float | None = Field(
        default=None, description="Validation loss after the best stage."
    )
    validation_fidelity: float | None = Field(
        default=None,
        description="Fidelity to the teacher on altered validation images, if models are chosen by "
        "fidelity.",
    )
    latency_ms: Milliseconds | None = Field(default=None, description="Median time of one image.")
    stages: Count | None = Field(
        default=None, description="Number of training stages that the candidate finished."
    )
    stage_accuracies: tuple[Fraction, ...] = Field(
        default=(), description="Validation accuracy after each finished stage."
    )
    stage_seconds: Annotated[tuple[float, ...], Clock()] = Field(
        default=(), description="Search time when each finished stage ended."
    )


class Improvement(MeasuredFields):
    """A new best accuracy among models within the size limit, and when it was reached."""

    seconds: Seconds = Field(description="Search time when the accuracy was reached.")
    validation_accuracy: Fraction
    name: str = Field(default="", description="The model with this accuracy.")


class PickWith(MeasuredFields):
    """The technique and setting with which a recipe picks another model of the Pareto front."""

    use: str = Field(description="Name of the technique.")
    setting: str = Field(description="Its setting for the name of the model.")


class SearchResult(MeasuredFields):
    """Result of an architecture search.

    Accuracies are measured on the validation images, by which the models were also chosen.
    """

    strategy: str = Field(default="", description="How candidates were proposed.")
    chosen: str = Field(description="Name of the model that is shipped.")
    rule: str = Field(default="", description="The rule by which it was chosen, in words.")
    tied: tuple[str, ...] = Field(
        default=(),
        description="Models not significantly worse than the chosen one in a paired test on the "
        "same images, at a level corrected for all `looks`.",
    )
    looks: Count | None = Field(
        default=None,
        description="Number of models evaluated on the validation images, counting each epoch; "
        "intervals hold for all of these models at once. None: each interval holds for a single "
        "model that the images did not choose.",
    )
    validation_accuracy: Fraction | None = Field(
        default=None, description="Accuracy of the chosen model."
    )
    validation_images: Count | None = Field(
        default=None, description="Number of validation images."
    )
    chosen_model: SearchedModel | None = Field(
        default=None, description="The chosen model, which may be off the front."
    )
    front: tuple[SearchedModel, ...] = Field(
        min_length=1, description="The Pareto front over the objectives of the search."
    )
    taken_with: PickWith | None = Field(
        default=None, description="How a recipe picks another model of the front."
    )
    family: tuple[Ancestor, ...] = Field(
        default=(), description="The chosen model and its ancestors, oldest first."
    )
    candidates: tuple[Candidate, ...] = Field(default=(), description="Every model proposed.")
    max_bytes: FileBytes | None = Field(
        default=None, description="Largest size allowed for the chosen model."
    )
    stages_trained: Count | None = Field(default=None, description="Stages over all candidates.")
    failed: Count | None = Field(default=None, description="Candidates that could not be trained.")
    seconds: Seconds | None = Field(
        default=None, description="Search time when the last training ended."
    )
    candidates_per_minute: Annotated[float, Clock()] | None = Field(
        default=None, description="Candidates trained per minute; None if there were none."
    )
    teachers: tuple[TeacherQuality, ...] = Field(
        default=(), description="Quality of each teacher, in the order of the step's inputs."
    )

    @property
    def history(self) -> tuple[Improvement, ...]:
        """Successive improvements of the best accuracy within the size limit, in order of time."""
        most = self.max_bytes
        ended = sorted(
            (seconds, accuracy, model.name)
            for model in self.candidates
            if most is None or model.bytes <= most
            for seconds, accuracy in zip(model.stage_seconds, model.stage_accuracies, strict=False)
        )
        steps: list[Improvement] = []
        for seconds, accuracy, name in ended:
            if not steps or accuracy > steps[-1].validation_accuracy:
                steps.append(Improvement(seconds=seconds, validation_accuracy=accuracy, name=name))
        return tuple(steps)

    @property
    def models(self) -> list[SearchedModel]:
        """Models of the Pareto front and the chosen model, most accurate first."""
        known = {model.name: model for model in self.front}
        if self.chosen_model:
            known.setdefault(self.chosen_model.name, self.chosen_model)
        return sorted(
            known.values(),
            key=lambda model: (-model.validation_accuracy.value, model.name != self.chosen),
        )

    @property
    def best(self) -> SearchedModel | None:
        """The chosen model; None if its metrics are unknown."""
        return next((model for model in self.models if model.name == self.chosen), None)

    @property
    def failures(self) -> list[Candidate]:
        """Candidates whose training failed."""
        return [candidate for candidate in self.candidates if candidate.failed is not None]


class PickedModel(MeasuredFields):
    """A model picked from the Pareto front of a search."""

    picked: SearchedModel = Field(description="The model, as the search measured it.")
