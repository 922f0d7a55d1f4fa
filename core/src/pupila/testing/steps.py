"""Runs one technique or exporter as a flow would."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import chdir, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from pupila.artifact import Artifact, Origin
from pupila.dataset import Dataset
from pupila.evaluation import SPECIFICITY, Metrics
from pupila.evaluator import evaluate
from pupila.plugin import Exporter, StepPlugin
from pupila.plugin_registry import installed
from pupila.predictions import Predictions
from pupila.runtime import Progress, ignore_progress
from pupila.step import Step, StepResult, WorkerPool
from pupila.store import Store

Result = TypeVar("Result")


def step_for(
    config: BaseModel,
    inputs: Sequence[Artifact],
    folder: Path,
    *,
    output: Path | None = None,
    dataset: Dataset | None = None,
    predictions: Predictions | None = None,
    seed: int = 0,
    progress: Progress = ignore_progress,
    unproven: bool = False,
    worker_pool: WorkerPool | None = None,
    input_metrics: tuple[Metrics | None, ...] = (),
) -> Step[Any]:
    """Return what an implementation is called with.

    The output, unless it is given, the scratch folder and the predictions are made in `folder`.
    As in a flow, the test images are withheld: no step may learn from them.
    """
    output = output or folder / "output"
    scratch = folder / "scratch"
    for place in (output, scratch):
        place.mkdir(parents=True, exist_ok=True)
    return Step(
        config=config,
        inputs=tuple(inputs),
        output=output,
        scratch=scratch,
        seed=seed,
        dataset=None if dataset is None else dataset.without("test"),
        predictions=predictions or Predictions(folder / "predictions"),
        progress=progress,
        unproven=unproven,
        worker_pool=worker_pool,
        input_metrics=input_metrics,
    )


class _Killed(Exception):
    pass


def finish_after_kill(run: Callable[[Progress], Result], epoch: int = 2) -> Result:
    """Kill a training when it has ended an epoch, run it again, and return what comes of it.

    `run` is given what its step's progress must be told. The second time, no epoch may be trained
    that the first one ended.
    """

    def kill(done: int, total: int, what: str) -> None:
        if what.startswith("epochs") and done == epoch:
            raise _Killed

    with suppress(_Killed):
        run(kill)
        raise AssertionError(f"no progress was told of epoch {epoch}")
    told: list[int] = []

    def listen(done: int, total: int, what: str) -> None:
        if what.startswith("epochs"):
            told.append(done)

    result = run(listen)
    if told != list(range(epoch + 1, epoch + 1 + len(told))):
        raise AssertionError(f"killed after epoch {epoch}, it went on with epochs {told}")
    return result


@dataclass(frozen=True)
class Ran:
    """What came of running one step in a folder of its own."""

    artifact: Artifact
    product: StepResult
    progress: tuple[tuple[int, int, str], ...]
    """Every call of `Step.progress`."""
    strays: tuple[str, ...]
    """Files and folders that the step left in its current folder, where it has no business."""


def run_step(
    plugin: StepPlugin,
    config: BaseModel,
    inputs: Sequence[Artifact],
    folder: Path,
    *,
    store: Store,
    dataset: Dataset | None = None,
    predictions: Predictions | None = None,
    seed: int = 0,
) -> Ran:
    """Run a technique or exporter with a new `folder` for scratch, and store what it wrote.

    Raises:
        PupilaError: the plugin refused, or wrote nothing.
    """
    told: list[tuple[int, int, str]] = []

    def listen(done: int, total: int, what: str) -> None:
        told.append((done, total, what))

    current = folder / "current"
    current.mkdir(parents=True)
    with store.draft() as output:
        step = step_for(
            config,
            inputs,
            folder,
            output=output,
            dataset=dataset if plugin.needs_data else None,
            predictions=predictions,
            seed=seed,
            progress=listen,
            input_metrics=_input_metrics(plugin, inputs, dataset, folder),
        )
        with chdir(current):
            product: StepResult = plugin.load()(step)
        artifact = store.add(output, **vars(product), origin=_origin(plugin, step))
    strays = sorted(path.relative_to(current).as_posix() for path in current.rglob("*"))
    return Ran(artifact, product, tuple(told), tuple(strays))


def _input_metrics(
    plugin: StepPlugin, inputs: Sequence[Artifact], dataset: Dataset | None, folder: Path
) -> tuple[Metrics | None, ...]:
    """Return the metrics of the inputs as a run would; the first class counts as positive."""
    if dataset is None or not (isinstance(plugin, Exporter) and plugin.shows_metrics):
        return ()
    predictions = Predictions(folder / "predictions")
    return tuple(
        evaluate(
            each,
            dataset,
            positive=dataset.classes[0],
            specificity=SPECIFICITY,
            predictions=predictions,
            progress=ignore_progress,
            latency_repeats=1,
        ).metrics
        if set(each.record.output.classes) == set(dataset.classes)
        else None
        for each in inputs
    )


def _origin(plugin: StepPlugin, step: Step[Any]) -> Origin:
    entry = installed().origin(plugin)
    return Origin(
        plugin=plugin.name,
        distribution=entry.distribution,
        version=entry.version,
        config=step.config.model_dump(mode="json"),
        seed=step.seed,
        inputs=tuple(artifact.digest for artifact in step.inputs),
        dataset=step.dataset.fingerprint if step.dataset else None,
    )
