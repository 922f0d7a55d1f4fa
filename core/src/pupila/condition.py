"""What a condition of the gate that a package adds may look at; see `pupila.GateCondition`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pupila.errors import PupilaError
from pupila.evaluation import Evaluation
from pupila.hookspecs import hookimpl
from pupila.result_plugins import GateCondition
from pupila.task import Answers, Truths


@dataclass(frozen=True, kw_only=True, eq=False)
class CheckedModel:
    """A model that a gate checks: its evaluation, and its answers to the test images.

    Arrays have one row for each image.
    """

    name: str
    evaluation: Evaluation
    """Its cost, and its metrics on the test images."""
    answers: Answers
    """`(images, columns)`, as `pupila.task.TaskMethods.answers` gives them."""
    decided: Answers
    """The same after the threshold has decided (`pupila.task.TaskMethods.decided`)."""
    truths: Truths
    """What the labels say."""
    classes: tuple[str, ...]
    """What the answers are about, in the order of their columns."""
    positive: str
    """Positive class; empty in a task without classes."""
    patients: NDArray[np.str_] | None
    """Patient of each image; None if the data does not name them. Intervals should be by patient:
    see `pupila.intervals`."""
    teacher: CheckedModel | None = None
    """The teacher on the same images, at the threshold that the same rule gives it; None unless the
    condition `needs_teacher`."""


@hookimpl
def pupila_conditions() -> Iterator[GateCondition]:
    """Yield the condition of core that comes in as those of any package do."""
    yield GateCondition(
        name="peak_memory_bytes",
        summary="Largest resident memory of the process that runs the model",
        implementation=f"{__name__}:peak_memory",
        title="peak memory",
        unit="bytes",
        advice="Try a smaller input or student, or a runtime that maps its weights from the file.",
    )


def peak_memory(model: CheckedModel) -> float:
    """Return the peak memory in bytes.

    Raises:
        PupilaError: the runner does not report it.
    """
    known = model.evaluation.cost.peak_memory_bytes
    if known is None:
        raise PupilaError(f"the runtime of {model.name!r} does not report its peak memory.")
    return float(known)
