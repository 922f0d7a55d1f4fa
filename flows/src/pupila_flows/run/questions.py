"""Inputs of the gate as plain values: models, test images, and external images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pupila.dataset import Dataset
from pupila.plugin import CLASSIFICATION
from pupila.task import methods_of
from pupila_flows.data.external.reading import ExternalImages
from pupila_flows.gate.inputs import ExternalPredictions, GateExternalSet, GateModel, Images
from pupila_flows.recipe.gate import ExternalGate
from pupila_flows.results import Entry
from pupila_flows.run.context import Run


def images_of(images: Dataset, columns: Sequence[str] = ()) -> Images:
    """Return the images of one split in the gate's form, with their values in `columns`."""
    return Images(
        fingerprint=images.fingerprint,
        paths=tuple(map(str, images.paths)),
        labels=tuple(images.strata.tolist()),
        truths=truths_of(images),
        columns={column: _values(images, column) for column in columns},
        patients=None if images.patients is None else tuple(images.patients.tolist()),
    )


def truths_of(images: Dataset) -> tuple[tuple[float, ...], ...] | None:
    """Return what the labels say in tasks other than classification, whose labels are columns."""
    if images.task == CLASSIFICATION:
        return None
    truths = np.asarray(methods_of(images.task).truths(images), np.float64)
    return tuple(tuple(row) for row in truths.reshape(len(images), -1).tolist())


def validation_of(data: Dataset, columns: Sequence[str] = ()) -> Images | None:
    """Return the validation images in the gate's form; None if the dataset has none."""
    has_some = "validation" in data.splits
    return images_of(data.select("validation"), columns) if has_some else None


def _values(images: Dataset, column: str) -> tuple[str, ...]:
    """Return the value of each image in a column; an empty text for a missing value."""
    given = images.frame[column].astype(object)
    return tuple(map(str, given.where(given.notna(), "").tolist()))


def gate_model_of(entry: Entry) -> GateModel | None:
    """Return an entry's evaluation in the gate's form; None if it was not evaluated."""
    if entry.evaluation is None:
        return None
    threshold = entry.record.threshold if entry.record else None
    return GateModel(
        name=entry.name, evaluation=entry.evaluation, threshold=threshold, shift=entry.shift
    )


def places(
    run: Run, entries: Sequence[Entry], section: ExternalGate | None
) -> tuple[GateExternalSet, ...]:
    """Return the external sets that a gate has conditions on, with the models' predictions.

    `section` has these conditions. If `section` is None, return all external sets.
    """
    asked = [images for images in run.external if section is None or _asks(section, images)]
    return tuple(
        GateExternalSet(
            name=images.name,
            images=images_of(images.dataset),
            labelled=images.labelled,
            predictions=tuple(_predictions(entries, images.name)),
        )
        for images in asked
    )


def _asks(section: ExternalGate, images: ExternalImages) -> bool:
    """Return whether a gate has conditions on a set of external images."""
    named = section.sets is None or images.name in section.sets
    return named and (images.labelled or section.fidelity is not None)


def _predictions(entries: Sequence[Entry], name: str) -> Iterator[ExternalPredictions]:
    for entry in entries:
        for result in entry.external:
            if result.name == name and result.evaluation:
                fidelity = result.evaluation.figures.fidelity
                yield ExternalPredictions(
                    name=entry.name,
                    probabilities=result.evaluation.probabilities,
                    correlation=fidelity.correlation if fidelity else None,
                )
