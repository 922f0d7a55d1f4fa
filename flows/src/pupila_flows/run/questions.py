"""What the gate is asked about, put into plain values: models, images, and images elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pupila.dataset import Dataset
from pupila_flows.data.external.reading import ExternalImages
from pupila_flows.gate.inputs import Images, Place, PlaceAnswers, Side
from pupila_flows.recipe.gate import ExternalGate
from pupila_flows.results import Entry
from pupila_flows.run.context import Run


def images_of(images: Dataset, columns: Sequence[str] = ()) -> Images:
    """Return images of one split, with the values of some columns."""
    return Images(
        fingerprint=images.fingerprint,
        paths=tuple(map(str, images.paths)),
        labels=tuple(images.labels.tolist()),
        columns={column: _values(images, column) for column in columns},
        patients=None if images.patients is None else tuple(images.patients.tolist()),
    )


def validation_of(data: Dataset, columns: Sequence[str] = ()) -> Images | None:
    """Return the validation images of some data; None where it has none."""
    has_some = "validation" in data.splits
    return images_of(data.select("validation"), columns) if has_some else None


def _values(images: Dataset, column: str) -> tuple[str, ...]:
    """Return the value of each image; an empty text where it has none."""
    given = images.frame[column].astype(object)
    return tuple(map(str, given.where(given.notna(), "").tolist()))


def side_of(entry: Entry) -> Side | None:
    """Return a judged model; None where it was not judged."""
    if entry.evaluation is None:
        return None
    threshold = entry.record.threshold if entry.record else None
    return Side(
        name=entry.name, evaluation=entry.evaluation, threshold=threshold, shift=entry.shift
    )


def places(run: Run, entries: Sequence[Entry], section: ExternalGate | None) -> tuple[Place, ...]:
    """Return the images of other places with what was answered there.

    Those that a gate asks about; all of them where there is no `section`.
    """
    asked = [each for each in run.external if section is None or _asks(section, each)]
    return tuple(
        Place(
            name=each.name,
            images=images_of(each.dataset),
            labelled=each.labelled,
            answers=tuple(_answers(entries, each.name)),
        )
        for each in asked
    )


def _asks(section: ExternalGate, images: ExternalImages) -> bool:
    """Tell whether a gate asks anything on some images."""
    named = section.sets is None or images.name in section.sets
    return named and (images.labelled or section.fidelity is not None)


def _answers(entries: Sequence[Entry], place: str) -> Iterator[PlaceAnswers]:
    for entry in entries:
        for found in entry.external:
            if found.name == place and found.evaluation:
                fidelity = found.evaluation.figures.fidelity
                yield PlaceAnswers(
                    name=entry.name,
                    probabilities=found.evaluation.probabilities,
                    correlation=fidelity.correlation if fidelity else None,
                )
