"""Evaluates an artifact in its own runtime: measures the quality of its answers and its cost."""

from __future__ import annotations

import platform
from collections.abc import Generator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, ValidationError

from pupila.artifact import Artifact
from pupila.dataset import GROUP_COLUMNS, Dataset
from pupila.errors import PupilaError
from pupila.evaluation import (
    LATENCY_REPEATS,
    Cost,
    Estimate,
    Evaluation,
    Latency,
    Measurement,
    RuntimeCheck,
)
from pupila.intervals import share
from pupila.openset import OpenSetImages, evaluate_open_set
from pupila.plain import misfits, plain
from pupila.plugin import Runner
from pupila.plugin_metrics import metrics_of_answers
from pupila.plugin_registry import installed
from pupila.predictions import Predictions, check_outputs, open_model
from pupila.runtime import OpenModel, OpenPage, Progress
from pupila.stages import evaluate_stages
from pupila.task import Answers, MetricSettings, Truths, answers_of_outputs, methods_of
from pupila.threads import model_threads

_FEWEST_REPEATS = 5
_LATENCY_SECONDS = 5.0
"""Time limit for timing a slow model, which still runs at least `_FEWEST_REPEATS` times."""

_CPU_INFO = Path("/proc/cpuinfo")

_LabelledAnswers = tuple[Answers, Truths]
"""Answers `(images, columns)` and what the labels say."""


def evaluate(
    artifact: Artifact,
    dataset: Dataset,
    *,
    positive: str,
    specificity: float,
    predictions: Predictions,
    progress: Progress,
    reference: tuple[str, Artifact] | None = None,
    split: str = "test",
    threads: int | None = None,
    latency_repeats: int = LATENCY_REPEATS,
    open_set: OpenSetImages | None = None,
) -> Evaluation:
    """Return the cost of `artifact` and all its metrics on one split of `dataset`.

    `dataset` holds every split. The runner of the artifact's format computes the answers, which are
    kept in `predictions`. A threshold for the class `positive` with the given `specificity` is
    chosen on the validation split, if there is one. `reference` is the name and the artifact of
    another model, normally a teacher; the answers of both models are compared image by image.
    Latency is measured with `threads` threads, by default those of the run. With `open_set`, the
    artifact is also evaluated as a filter.

    Raises:
        PupilaError: the split is empty, the classes do not match, or the answers are not
            probabilities.
    """
    images = dataset.select(split)
    # first, so that the peak memory is that of single images, whatever is cached
    measured = measure(artifact, images, threads=threads, latency_repeats=latency_repeats)
    answers = predictions.of(artifact, images, progress)
    validation = _validation(artifact, dataset, split, predictions, progress)
    task, truths, patients = (
        methods_of(dataset.task),
        methods_of(dataset.task).truths(images),
        images.patients,
    )
    settings = partial(
        MetricSettings,
        classes=dataset.classes,
        positive=positive,
        specificity=specificity,
        validation=validation,
        shipped=artifact.record.threshold,
        split=split,
    )
    comparison = None
    if reference is not None:
        name, other = reference
        comparison = task.agreement(
            name, answers, predictions.of(other, images, progress), patients
        )
    return Evaluation(
        **dict(measured),
        split=split,
        metrics=metrics_of_answers(dataset.task, answers, truths, settings(patients=patients)),
        validation=_validation_accuracy(validation, artifact, dataset),
        groups={
            column: {
                value: metrics_of_answers(
                    dataset.task,
                    answers[rows],
                    truths[rows],
                    settings(patients=None if patients is None else patients[rows]),
                )
                for value, rows in groups.items()
            }
            for column, groups in _groups(images).items()
        },
        agreement=comparison,
        stages=evaluate_stages(artifact, images, predictions, progress),
        open_set=open_set
        and evaluate_open_set(
            artifact, dataset, open_set, predictions=predictions, progress=progress
        ),
        probabilities=str(predictions.keep(answers, artifact, images)),
        validation_probabilities=None
        if validation is None
        else str(predictions.keep(validation[0], artifact, dataset.select("validation"))),
    )


def measure(
    artifact: Artifact,
    images: Dataset,
    *,
    threads: int | None = None,
    latency_repeats: int = LATENCY_REPEATS,
) -> Measurement:
    """Return the cost of `artifact`: its size, latency and peak memory.

    Latency and memory are measured on the first of `images`, with `threads` threads (by default
    those of the run).
    """
    threads = threads or model_threads()
    image = images.image(0, artifact.record.input)
    runner = installed().runner(artifact.format)
    with _naming_runner(runner), closing(open_model(artifact, threads)) as model:
        latency = _latency(model, image, latency_repeats)
        return Measurement(
            artifact=artifact.digest,
            format=artifact.format,
            runtime=model.runtime,
            cpu=cpu_name(),
            cost=_cost(artifact, latency, model.peak_memory_bytes()),
        )


def check_runtime(
    artifact: Artifact,
    runtime: str,
    dataset: Dataset,
    *,
    predictions: Predictions,
    progress: Progress,
    source: Artifact | None = None,
    threads: int | None = None,
    latency_repeats: int = LATENCY_REPEATS,
) -> RuntimeCheck:
    """Run `artifact` in the runtime `runtime` on the images of `dataset`, and measure its answers.

    The answers are compared with those in the primary runtime of the artifact's format. If
    `runtime` is this primary runtime itself, the answers are compared with those of `source`, the
    artifact that `artifact` was exported from, or with nothing if `source` is None. Latency, memory
    and start-up are measured too.

    Raises:
        PupilaError: the runtime refuses the artifact or is not available here, or the outputs do
            not fit the artifact's `OutputSpec`.
    """
    runner, own = installed().runtime(runtime), installed().runner(artifact.format)
    installed().check(artifact)
    threads = threads or model_threads()
    pixels = dataset.pixels(artifact.record.input)
    images = np.stack([pixels[row] for row in range(len(dataset))])
    with _naming_runner(runner), closing(runner.load()(artifact, threads)) as opened:
        model: OpenModel = opened
        startup = opened.startup() if isinstance(opened, OpenPage) else None
        latency = _latency(model, images[0], latency_repeats)
        outputs = check_outputs(model.predict(images, progress), artifact, runner, len(images))
        name, memory = model.runtime, model.peak_memory_bytes()
    output, task = artifact.record.output, methods_of(dataset.task)
    answers = answers_of_outputs(output, outputs)
    columns = task.columns_of(output.classes, dataset.classes)
    other = source if runner == own else artifact
    agreed = other and task.agreement(
        _reference_name(other, own, artifact),
        answers[:, columns],
        predictions.of(other, dataset, progress),
        dataset.patients,
    )
    with _naming_runner(runner):
        return RuntimeCheck(
            runtime=name,
            cpu=cpu_name(),
            images=len(dataset),
            agreement=agreed,
            latency=latency,
            peak_memory_bytes=memory,
            startup=startup,
        )


@contextmanager
def _naming_runner(runner: Runner) -> Generator[None]:
    """Name the runner in its errors, and in an error for values of a wrong type from it."""
    try:
        with installed().calling(runner, ValidationError):
            yield
    except ValidationError as error:
        raise PupilaError(f"{_title(runner)} returned wrong values: {misfits(error)}.") from None


def _title(runner: Runner) -> str:
    return f"Runner {runner.name!r} of {installed().origin(runner).distribution}"


def _reference_name(other: Artifact, own: Runner, artifact: Artifact) -> str:
    return own.name if other is artifact else f"its source ({other.format})"


def cpu_name() -> str:
    """Return the processor's name as the operating system reports it."""
    if _CPU_INFO.exists():
        for line in _CPU_INFO.read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name" and value.strip():
                return value.strip()
    return platform.processor() or platform.machine()


def _validation(
    artifact: Artifact,
    dataset: Dataset,
    split: str,
    predictions: Predictions,
    progress: Progress,
) -> _LabelledAnswers | None:
    """Return answers and truths of the validation split; None if missing, or if it is `split`."""
    if split == "validation" or "validation" not in set(dataset.frame["split"]):
        return None
    images = dataset.select("validation")
    return predictions.of(artifact, images, progress), methods_of(dataset.task).truths(images)


def _validation_accuracy(
    validation: _LabelledAnswers | None, artifact: Artifact, dataset: Dataset
) -> Estimate | None:
    if validation is None:
        return None
    task, threshold = methods_of(dataset.task), artifact.record.threshold
    right = task.right(*validation, dataset.classes, threshold)
    return share(right, dataset.select("validation").patients)


def _groups(dataset: Dataset) -> dict[str, dict[str, NDArray[np.int64]]]:
    """Return rows by column and value, for each grouping column with at least two values.

    Images without a value are in no group.
    """
    groups: dict[str, dict[str, NDArray[np.int64]]] = {}
    for column in GROUP_COLUMNS:
        if column in dataset.frame:
            rows = dataset.rows_by_value(column)
            if len(rows) >= 2:
                groups[column] = rows
    return groups


def _latency(model: OpenModel, image: NDArray[np.uint8], repeats: int) -> Latency:
    times = _times(model, image, repeats)
    return Latency(
        median_ms=float(np.median(times)),
        p95_ms=float(np.quantile(times, 0.95)),
        repeats=len(times),
        threads=model.threads,
    )


def _times(model: OpenModel, image: NDArray[np.uint8], repeats: int) -> list[float]:
    """Return the times of `repeats` inferences in milliseconds; fewer for a slow model."""
    if repeats < 1:
        raise PupilaError(f"Latency cannot be measured in {repeats!r} repeats: give at least 1.")
    times = _time(model, image, min(repeats, _FEWEST_REPEATS))
    left_ms = _LATENCY_SECONDS * 1000 - sum(times)
    more = min(repeats - len(times), int(left_ms / max(float(np.median(times)), 1e-6)))
    return times + _time(model, image, more) if more > 0 else times


class _Times(BaseModel):
    latency_ms: list[Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(min_length=1)


def _time(model: OpenModel, image: NDArray[np.uint8], repeats: int) -> list[float]:
    times: Any = model.latency_ms(image, repeats)
    return _Times(latency_ms=plain(times)).latency_ms


def _cost(artifact: Artifact, latency: Latency, memory: int | None) -> Cost:
    return Cost(
        size_bytes=artifact.size_bytes,
        gzip_bytes=artifact.gzip_bytes(),
        parameters=artifact.record.parameters,
        macs=artifact.record.macs,
        latency=latency,
        peak_memory_bytes=memory,
    )
