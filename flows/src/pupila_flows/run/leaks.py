"""Refuses to compare with models that were trained on the test images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pupila.errors import PupilaError
from pupila_flows.data.training_images import TrainingImages, seen_in_training
from pupila_flows.gate.inputs import Case, GateModel
from pupila_flows.run.context import Run

_EXAMPLES = 3


def check_references(run: Run, cases: Iterable[Case]) -> tuple[str, ...]:
    """Refuse reference models that were trained on test images.

    A reference is a model that an artifact is compared with: a teacher or a published model. Return
    the names of the references whose training images are not known, or not all known.

    Raises:
        PupilaError: a reference was trained on test images.
    """
    unknown: list[str] = []
    for name, model in dict(_references(cases)).items():
        known = TrainingImages.read(run.workspace.store.path_of(model.evaluation.artifact))
        if known:
            _refuse_trained_on(run, name, known)
        if known is None or not known.complete:
            unknown.append(name)
    return tuple(unknown)


def _references(cases: Iterable[Case]) -> Iterator[tuple[str, GateModel]]:
    """Yield the models that artifacts are compared with, each with its name."""
    for case in cases:
        if case.teacher:
            yield case.teacher.name, case.teacher
        for incumbent in case.incumbents:
            if incumbent.artifact:
                yield f"{case.entry!r} of {incumbent.called}", incumbent.artifact


def _refuse_trained_on(run: Run, name: str, known: TrainingImages) -> None:
    distance = run.plan.recipe.data.expectations.near_duplicate_distance
    seen = seen_in_training(known, run.dataset, distance)
    if not seen:
        return
    examples = ", ".join(path.name for path in seen[:_EXAMPLES])
    more = ", …" if len(seen) > _EXAMPLES else ""
    raise PupilaError(
        f"{name}, with which the gate compares, was trained on {len(seen)} of the "
        f"{len(run.dataset.select('test'))} test images ({examples}{more}): its answers to those "
        "prove nothing. Take them out of the split `test`, or compare with another model."
    )
