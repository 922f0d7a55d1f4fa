"""A plugin for Pupila: a technique that averages the weights of models, and a family of shifts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from pupila import Config, Shift, Technique, hookimpl


class AverageWeights(Config):
    """Settings of `average-weights`."""

    choice: Literal["greedy", "uniform"] = Field(
        default="greedy",
        description="Average all inputs (uniform), or those that help on validation (greedy).",
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
def pupila_shifts() -> Iterator[Shift]:
    """Yield the one family of alterations of this package."""
    yield Shift(
        name="reflection",
        summary="A bright spot, as of a lamp that the lens reflects",
        implementation="average_weights.shifts:reflection",
    )
