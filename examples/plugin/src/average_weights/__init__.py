"""A plugin for Pupila: a technique that averages weights, and one of most other things."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from average_weights import archives
from pupila import (
    ANY_TASK,
    Command,
    Config,
    DataCheck,
    Exporter,
    GateCondition,
    Loader,
    MeasuredSection,
    Metric,
    ReportSection,
    Runner,
    Shift,
    Student,
    Technique,
    hookimpl,
)


class AverageWeights(Config):
    """Settings of `average-weights`."""

    choice: Literal["greedy", "uniform"] = Field(
        default="greedy",
        description="Average all inputs (uniform), or those that help on validation (greedy).",
    )


class GreyImages(Config):
    """Bounds of `grey-images`."""

    least_difference: float = Field(
        default=2.0,
        ge=0,
        description="Difference of the mean colours below which an image is grey.",
    )
    maximum: float = Field(
        default=0.0, ge=0, le=1, description="Largest fraction of the images that may be grey."
    )


@hookimpl
def pupila_techniques() -> Iterator[Technique]:
    """Yield the one technique of this package."""
    yield Technique(
        name="average-weights",
        summary="Average the weights of several fine-tunings of one model",
        config=AverageWeights,
        accepts=frozenset({"keras"}),
        produces="keras",
        min_inputs=2,
        max_inputs=None,
        needs_data=True,
        implementation="average_weights.soup:average",
    )


@hookimpl
def pupila_exporters() -> Iterator[Exporter]:
    """Yield the one exporter of this package."""
    yield Exporter(
        name="export-c-array",
        summary="Write a TFLite file as an array of bytes in C",
        accepts=frozenset({"tflite"}),
        produces="c-array",
        tasks=ANY_TASK,
        implementation="average_weights.c_array:export",
    )


@hookimpl
def pupila_runners() -> Iterator[Runner]:
    """Yield the runner of what the exporter writes, so that it is evaluated as it ships."""
    yield Runner(
        name="c-array",
        summary="Arrays of bytes in C, in LiteRT",
        format="c-array",
        check="average_weights.c_array:check",
        implementation="average_weights.c_array:open_model",
    )


@hookimpl
def pupila_students() -> Iterator[Student]:
    """Yield the one student of this package."""
    yield Student(
        name="plain-s",
        summary="Four convolutions without normalisation (0.10 million parameters), 96 px",
        size=96,
        implementation="average_weights.plain:build",
    )


@hookimpl
def pupila_loaders() -> Iterator[Loader]:
    """Yield the one loader of this package."""
    yield Loader(
        name="positions",
        summary="Keras archives with the layer AddPositions of this package",
        produces="keras",
        recognises=archives.recognises,
        implementation="average_weights.positions:load",
    )


@hookimpl
def pupila_shifts() -> Iterator[Shift]:
    """Yield the one family of alterations of this package."""
    yield Shift(
        name="reflection",
        summary="A bright spot, as of a lamp that the lens reflects",
        implementation="average_weights.shifts:reflection",
    )


@hookimpl
def pupila_checks() -> Iterator[DataCheck]:
    """Yield the one check of this package."""
    yield DataCheck(
        name="grey-images",
        summary="No photograph of a colour camera is grey",
        config=GreyImages,
        implementation="average_weights.grey:check",
    )


@hookimpl
def pupila_metrics() -> Iterator[Metric]:
    """Yield the one metric of this package."""
    yield Metric(
        name="true_class_probability",
        summary="Mean probability of the true class",
        title="probability of the true class",
        bounds=(0.0, 1.0),
        implementation="average_weights.results:true_class_probability",
    )


@hookimpl
def pupila_commands() -> Iterator[Command]:
    """Yield the one command of this package."""
    yield Command(
        name="weights-distance",
        summary="Show how far the weights of two Keras models are from each other.",
        implementation="average_weights.distance:show",
    )


@hookimpl
def pupila_conditions() -> Iterator[GateCondition]:
    """Yield the one condition of this package."""
    yield GateCondition(
        name="wrong_and_sure",
        summary="Fraction of images answered wrong with a probability of over 0.9",
        title="wrong and sure answers",
        has_interval=True,
        advice="Average more models, or train with a higher temperature.",
        tasks=frozenset({"classification"}),
        implementation="average_weights.results:wrong_and_sure",
    )


@hookimpl
def pupila_sections() -> Iterator[ReportSection]:
    """Yield the sections of this package: of what it measured, and of a whole run."""
    yield MeasuredSection(
        name="soups",
        summary="Which models were averaged, and how good they are",
        title="Averaged weights",
        implementation="average_weights.results:Soup",
        template="average_weights:pages/soup.html",
    )
    yield ReportSection(
        name="bytes-for-accuracy",
        summary="Bytes that ship for each point of accuracy",
        title="What a point of accuracy costs",
        implementation="average_weights.results:bytes_for_accuracy",
    )
