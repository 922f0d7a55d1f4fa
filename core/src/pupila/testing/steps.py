"""Runs one technique or exporter in the same way as a flow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import chdir, suppress
from dataclasses import dataclass, replace
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
    """Return a `Step`, the argument that a technique or an exporter is called with.

    The scratch folder is made in `folder`, and so are `output` and `predictions` if they are not
    given. As in a flow, the test images of `dataset` are left out: no step may learn from them.
    """
    output = output or folder / "output"
    scratch = folder / "scratch"
    for made in (output, scratch):
        made.mkdir(parents=True, exist_ok=True)
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


@dataclass(frozen=True)
class StepMaker:
    """Makes steps for tests. All steps have the same settings, unless a call changes some."""

    config: type[BaseModel]
    settings: Mapping[str, Any]
    """Settings of every step, unless a call changes them."""
    inputs: Sequence[Artifact]
    dataset: Dataset
    folder: Path
    predictions: Predictions | None = None
    """Cache of predictions; if left out, all steps share one in `folder`."""

    def __call__(
        self,
        folder: str = "step",
        inputs: Sequence[Artifact] | None = None,
        *,
        images: Dataset | None = None,
        config: type[BaseModel] | None = None,
        seed: int = 0,
        progress: Progress = ignore_progress,
        **changes: Any,
    ) -> Step[Any]:
        """Return a step that works in the subfolder `folder`.

        `inputs`, `images` (the dataset) and `config` (the class of the settings) replace the common
        values; `changes` replace single settings.
        """
        return step_for(
            (config or self.config).model_validate({**self.settings, **changes}),
            self.inputs if inputs is None else inputs,
            self.folder / folder,
            dataset=images or self.dataset,
            predictions=self.predictions or Predictions(self.folder / "predictions"),
            seed=seed,
            progress=progress,
        )


class _Killed(Exception):
    pass


def finish_after_kill(
    implementation: Callable[[Step[Any]], Result], step: Step[Any], epoch: int = 2
) -> Result:
    """Kill a training after epoch `epoch`, start it again, and return its result.

    Raises:
        AssertionError: the training did not report that epoch as progress, or did not resume with
            the next epoch.
    """

    def kill(done: int, total: int, what: str) -> None:
        if what.startswith("epochs") and done == epoch:
            raise _Killed

    with suppress(_Killed):
        implementation(replace(step, progress=kill))
        raise AssertionError(f"epoch {epoch} was not reported as progress")
    epochs: list[int] = []

    def listen(done: int, total: int, what: str) -> None:
        if what.startswith("epochs"):
            epochs.append(done)

    result = implementation(replace(step, progress=listen))
    if epochs != list(range(epoch + 1, epoch + 1 + len(epochs))):
        raise AssertionError(f"killed after epoch {epoch}, it went on with epochs {epochs}")
    return result


@dataclass(frozen=True)
class StepRun:
    """The result of running one step in a folder of its own."""

    artifact: Artifact
    result: StepResult
    progress: tuple[tuple[int, int, str], ...]
    """The arguments of every call of `Step.progress`."""
    stray_files: tuple[str, ...]
    """Files and folders that the step left in its current folder, where it must not write."""


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
) -> StepRun:
    """Run a technique or exporter in a new `folder`, and store the files that it wrote.

    Raises:
        PupilaError: the plugin raised it, or wrote nothing.
    """
    reports: list[tuple[int, int, str]] = []

    def listen(done: int, total: int, what: str) -> None:
        reports.append((done, total, what))

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
            result: StepResult = plugin.load()(step)
        artifact = store.add(output, **vars(result), origin=_origin(plugin, step))
    stray_files = sorted(path.relative_to(current).as_posix() for path in current.rglob("*"))
    return StepRun(artifact, result, tuple(reports), tuple(stray_files))


def _input_metrics(
    plugin: StepPlugin, inputs: Sequence[Artifact], dataset: Dataset | None, folder: Path
) -> tuple[Metrics | None, ...]:
    """Return the metrics of the inputs, as a run would pass them; the first class is positive."""
    if dataset is None or not (isinstance(plugin, Exporter) and plugin.shows_metrics):
        return ()
    predictions = Predictions(folder / "predictions")
    return tuple(
        evaluate(
            artifact,
            dataset,
            positive=dataset.classes[0],
            specificity=SPECIFICITY,
            predictions=predictions,
            progress=ignore_progress,
            latency_repeats=1,
        ).metrics
        if set(artifact.record.output.classes) == set(dataset.classes)
        else None
        for artifact in inputs
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
