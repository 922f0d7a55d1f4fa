"""The techniques `search` and `search-pick`."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pupila import OutputSpec, PupilaError, Step, StepResult
from pupila.errors import nearest
from pupila.keras_files import MODEL_NAME, import_keras, macs, parameters, save
from pupila.measured import Measured, PickedModel, SearchResult
from pupila_search.building import build, load
from pupila_search.candidates import Candidate
from pupila_search.config import Pick, Search
from pupila_search.population import Population
from pupila_search.strategies import STRATEGIES
from pupila_search.summary import result_of
from pupila_search.training_targets import Lesson, lesson_of
from pupila_search.workers import workers

keras = import_keras()

FRONT = "front"
"""Folder of the artifact with the models of the front, a folder of its own for each."""


def search(step: Step[Search]) -> StepResult:
    """Search until the budget is spent, fine-tune the best, and write it with the whole front.

    Written is the model of the highest validation accuracy within `maximum_bytes`; of several, that
    of the lowest loss. With fidelity as an objective it is that of the highest fidelity. The
    same validation images chose it, so its figures on them are too good: judge it on others.

    Raises:
        PupilaError: no model can be as small as the budget says, none could be trained, the space
            has no valid child, or the disk is full.
    """
    config = step.config
    with _room_on_disk(step.scratch, "the teachers' answers"):
        lesson = _lesson(step)
    place = step.scratch / lesson.digest[:16]
    pool_of = workers(config.workers, lesson, step.worker_pool, step.scratch / "targets")
    with _room_on_disk(place, "another candidate"), pool_of as pool:
        laboratory = Population(lesson, place, step.seed, pool, step.progress)
        STRATEGIES[config.strategy](laboratory, step.seed)
        laboratory.tune(laboratory.affordable()[: config.finalists])
    chosen = _chosen(laboratory)
    front = laboratory.front()
    for each in front:
        folder = step.output / FRONT / each.name
        folder.mkdir(parents=True)
        save(_answering(each, lesson), folder)
    model = _answering(chosen, lesson)
    save(model, step.output)
    return StepResult(
        format="keras",
        input=config.input,
        output=OutputSpec(kind="softmax", classes=lesson.validation.classes),
        parameters=parameters(model),
        macs=macs(model),
        shipped=MODEL_NAME,
        measured=Measured(result_of(laboratory, lesson, chosen, front)),
    )


def pick(step: Step[Pick]) -> StepResult:
    """Write another model of the front of a search; nothing is trained.

    Raises:
        PupilaError: the input is of no search, or its front has no model of that name.
    """
    (artifact,) = step.inputs
    result = artifact.record.measured.read(SearchResult)
    found = {model.name: model for model in result.front} if result else {}
    wanted = step.config.pick
    source = artifact.path / FRONT / wanted / MODEL_NAME
    if not found or wanted not in found:
        have = ", ".join(found) or "none: it was not made by `search`"
        raise PupilaError(
            f"`pick` is {wanted!r}, but the front of the input has: {have}.{nearest(wanted, found)}"
        )
    shutil.copyfile(source, step.output / MODEL_NAME)
    model = keras.saving.load_model(source, compile=False)
    return StepResult.like(
        artifact,
        format="keras",
        parameters=parameters(model),
        macs=macs(model),
        measured=Measured(PickedModel(picked=found[wanted])),
    )


@contextmanager
def _room_on_disk(place: Path, what: str) -> Generator[None]:
    """Tell a user that the disk is full, and that nothing is lost."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise PupilaError(
            f"The disk is full: there is no room for {what} in {str(place)!r}. Make "
            f"room and run again: the search goes on after its last candidate."
        ) from None


def _lesson(step: Step[Search]) -> Lesson:
    """Look at the budget before any teacher is asked."""
    config = step.config
    smallest = config.smallest_bytes(len(step.images.classes))
    if config.maximum_bytes is not None and config.maximum_bytes < smallest:
        raise PupilaError(
            f"`maximum_bytes` is {config.maximum_bytes!r}, but the smallest model of a search has "
            f"{smallest} bytes as int8: give at least as many."
        )
    return lesson_of(step)


def _chosen(laboratory: Population) -> Candidate:
    affordable = laboratory.affordable()
    if affordable:
        return affordable[0]
    failed = [each for each in laboratory.candidates if each.failed]
    tried = laboratory.tried
    if tried:
        smallest = min(tried, key=lambda each: each.bytes)
        raise PupilaError(
            f"None of {len(tried)} candidates is within `maximum_bytes`, "
            f"{laboratory.config.maximum_bytes!r}: the smallest, {smallest.name}, has "
            f"{smallest.bytes}. Raise it, or let the search go on: raise `minutes` or "
            "`max_candidates`."
        )
    reason = f"the first, {failed[0].name}: {failed[0].failed}" if failed else "there was no time"
    raise PupilaError(
        f"No candidate was trained to an end ({len(failed)} failed; {reason}). Raise `minutes` "
        f"({laboratory.config.minutes!r}), or lower `workers` ({laboratory.config.workers!r}) "
        f"where memory is short."
    )


def _answering(candidate: Candidate, lesson: Lesson) -> Any:
    """Return a candidate's model with a softmax."""
    model = build(candidate.genome, lesson.config.input, len(lesson.train.classes))
    load(model, candidate.weights())
    probabilities = keras.layers.Softmax(name="probabilities")(model.outputs[0])
    return keras.Model(model.inputs[0], probabilities, name=candidate.name)
