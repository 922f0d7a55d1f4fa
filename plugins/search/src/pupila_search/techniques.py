"""The techniques `search` and `search-pick`."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pupila import OutputSpec, PupilaError, Step, StepResult, installed
from pupila.errors import nearest
from pupila.keras_files import MODEL_NAME, import_keras, macs, parameters, save
from pupila.measured import Measured, PickedModel, SearchResult
from pupila.plugin import CLASSIFICATION
from pupila.training.task import training_of
from pupila_search.building import load
from pupila_search.candidates import Candidate
from pupila_search.config import Pick, Search
from pupila_search.population import Population
from pupila_search.strategies import STRATEGIES
from pupila_search.summary import result_of
from pupila_search.training_targets import TrainingTargets, make_targets
from pupila_search.workers import workers

keras = import_keras()

FRONT = "front"
"""Name of the artifact's folder that has a subfolder for each model of the Pareto front."""


def search(step: Step[Search]) -> StepResult:
    """Search until the budget is spent, fine-tune the best models, and write the best of all.

    Only models within `max_bytes` can be the best model. The best model is the one with the highest
    validation accuracy. If several models have this accuracy, the one with the lowest loss is best.
    If fidelity is an objective, the model with the highest fidelity is best instead. The models of
    the Pareto front are written too. The best model was chosen on the validation images, so its
    metrics on them are too good: evaluate it on other images.

    Raises:
        PupilaError: no model of the search can be as small as `max_bytes`, no candidate was
            trained, no trained candidate is within `max_bytes`, no valid genome was found in the
            search space, or the disk is full.
    """
    config = step.config
    with _room_on_disk(step.scratch, "the teachers' answers"):
        targets = _make_targets(step)
    folder = step.scratch / targets.digest[:16]
    pool_of = workers(config.workers, targets, step.worker_pool, step.scratch / "targets")
    with _room_on_disk(folder, "another candidate"), pool_of as pool:
        population = Population(targets, folder, step.seed, pool, step.progress)
        STRATEGIES[config.strategy](population, step.seed)
        population.fine_tune(population.within_bytes()[: config.finalists])
    chosen = _choose(population)
    front = population.front()
    for candidate in front:
        target = step.output / FRONT / candidate.name
        target.mkdir(parents=True)
        save(_finished(candidate, targets)[0], target)
    model, output = _finished(chosen, targets)
    save(model, step.output)
    return StepResult(
        format="keras",
        input=config.input,
        output=output,
        parameters=parameters(model),
        macs=macs(model),
        shipped=MODEL_NAME,
        measured=Measured(result_of(population, targets, chosen, front)),
    )


def pick(step: Step[Pick]) -> StepResult:
    """Write another model of a search's Pareto front, without training it.

    Raises:
        PupilaError: the input was not made by `search`, or its front does not have the model.
    """
    (artifact,) = step.inputs
    result = artifact.record.measured.read(SearchResult)
    models = {model.name: model for model in result.front} if result else {}
    wanted = step.config.pick
    source = artifact.path / FRONT / wanted / MODEL_NAME
    if not models or wanted not in models:
        have = ", ".join(models) or "none: it was not made by `search`"
        raise PupilaError(
            f"`pick` is {wanted!r}, but the front of the input has: {have}."
            f"{nearest(wanted, models)}"
        )
    shutil.copyfile(source, step.output / MODEL_NAME)
    model = keras.saving.load_model(source, compile=False)
    output = artifact.record.output
    if output.size is not None:  # models of the front may have maps of other sizes
        output = output.model_copy(update={"size": tuple(model.output_shape[1:])})
    return StepResult.like(
        artifact,
        format="keras",
        output=output,
        parameters=parameters(model),
        macs=macs(model),
        measured=Measured(PickedModel(picked=models[wanted])),
    )


@contextmanager
def _room_on_disk(folder: Path, what: str) -> Generator[None]:
    """Turn the `OSError` of a full disk into a `PupilaError` that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise PupilaError(
            f"The disk is full: {what} cannot be written to {str(folder)!r}. Free some space and "
            f"run again: the search goes on after its last candidate."
        ) from None


def _make_targets(step: Step[Search]) -> TrainingTargets:
    """Check that some model can be within `max_bytes`, and then compute the training targets."""
    config = step.config.for_task(installed().task(step.images.task))
    task = None if step.images.task == CLASSIFICATION else training_of(step.images)
    smallest = config.smallest_bytes(len(step.images.classes), task)
    if config.max_bytes is not None and config.max_bytes < smallest:
        raise PupilaError(
            f"`max_bytes` is {config.max_bytes!r}, but the smallest model of a search has "
            f"{smallest} bytes as int8: give at least as many."
        )
    return make_targets(step)


def _choose(population: Population) -> Candidate:
    within_bytes = population.within_bytes()
    if within_bytes:
        return within_bytes[0]
    failed = [candidate for candidate in population.candidates if candidate.failed]
    tried = population.trained
    if tried:
        smallest = min(tried, key=lambda candidate: candidate.bytes)
        raise PupilaError(
            f"None of {len(tried)} candidates is within `max_bytes`, "
            f"{population.config.max_bytes!r}: the smallest, {smallest.name}, has "
            f"{smallest.bytes}. Raise it, or let the search go on: raise `minutes` or "
            "`max_candidates`."
        )
    reason = f"the first, {failed[0].name}: {failed[0].failed}" if failed else "there was no time"
    raise PupilaError(
        f"No candidate was trained to an end ({len(failed)} failed; {reason}). Raise `minutes` "
        f"({population.config.minutes!r}), or lower `workers` ({population.config.workers!r}) "
        f"where memory is short."
    )


def _finished(candidate: Candidate, targets: TrainingTargets) -> tuple[Any, OutputSpec]:
    """Return a candidate's trained model as it is saved, such as with a softmax, and its output."""
    model = targets.build(candidate.genome)
    load(model, candidate.weights())
    named = keras.Model(model.inputs[0], model.outputs[0], name=candidate.name)
    return targets.training.finish(named)
