"""Runs the stages of a chain one after another, each in the runtime of its format."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pupila import Artifact, OpenModel, OutputSpec, Progress, PupilaError, Threshold
from pupila.cropping import crop, square_around
from pupila.images import content_of, resize
from pupila.predictions import open_model
from pupila.runtime import Fate, ignore_progress
from pupila.task import methods_of
from pupila_chain.files import CLASSIFIER, FILTER, LOCATOR, ChainFile, read

Pictures = NDArray[np.uint8]
Floats = NDArray[np.float32]


def open_chain(artifact: Artifact, threads: int) -> OpenChain:
    """Open an artifact of format `chain`, whose stages compute on `threads` threads each.

    Raises:
        PupilaError: the chain is damaged, or a stage cannot be run.
    """
    files = read(artifact)
    with ExitStack() as opened:
        models = {
            name: opened.enter_context(closing(open_model(stage, threads)))
            for name, stage in files.stages.items()
        }
        return OpenChain(files.content, files.stages, models, opened.pop_all())


@dataclass(frozen=True)
class _Routed:
    """What the stages before the classifier did with some images."""

    fates: dict[str, NDArray[np.int64]]
    """`Fate` of each image at each stage, `(images,)`; that at the classifier is the last."""
    answers: dict[str, Floats]
    """Answers of each stage but the classifier, `(images, columns)`; NaN for what did not reach it.
    """


class OpenChain:
    """An open chain. Pictures are uint8 `(n, height, width, 3)`, images surrounded by the marker.

    What is turned away gets the same probability for all classes.
    """

    def __init__(
        self,
        content: ChainFile,
        stages: Mapping[str, Artifact],
        models: Mapping[str, OpenModel],
        opened: ExitStack,
    ) -> None:
        self._content = content
        self._stages = stages
        self._models = models
        self._opened = opened

    @property
    def runtime(self) -> str:
        return " and ".join(dict.fromkeys(model.runtime for model in self._models.values()))

    @property
    def threads(self) -> int:
        return max(model.threads for model in self._models.values())

    def predict(self, images: Pictures, progress: Progress) -> Floats:
        """Return the raw outputs of the classifier, `(n, columns)`."""
        contents = self._contents(images)
        routed = self._route(contents, progress)
        output = self._stages[CLASSIFIER].record.output
        outputs = np.full((len(images), output.columns), _no_answer(output), np.float32)
        rows = np.flatnonzero(routed.fates[CLASSIFIER] == Fate.PASSED)
        located = routed.answers[LOCATOR]
        crops = [self._classified(contents[row], located[row]) for row in map(int, rows)]
        self._fill(CLASSIFIER, outputs, rows, crops, progress)
        return outputs

    def trace(self, images: Pictures, progress: Progress) -> Floats:
        """Return what each stage did with each image; see `pupila.runtime.StagedModel`."""
        routed = self._route(self._contents(images), progress)
        columns: list[NDArray[Any]] = []
        for name in self._stages:
            columns.append(routed.fates[name][:, np.newaxis])
            columns += [routed.answers[name]] if name in routed.answers else []
        return np.concatenate(columns, axis=1).astype(np.float32)

    def latency_ms(self, image: Pictures, repeats: int) -> list[float]:
        """Return the milliseconds of each of `repeats` runs of all stages on one picture.

        The times of the stages are measured by their runtimes. The time in between is added: to
        resize the image for filter and locator, to decode the locator's answer, and to crop. All
        stages run, even if the chain turns the image away.
        """
        (content,) = self._contents(image[np.newaxis])
        pictures: dict[str, Pictures] = {}
        between = [self._prepare(content, pictures) for _ in range(repeats)]
        stages = [
            self._models[name].latency_ms(picture, repeats) for name, picture in pictures.items()
        ]
        return [sum(times) for times in zip(between, *stages, strict=True)]

    def peak_memory_bytes(self) -> int | None:
        """Return the peak memory of the process that computes; of several, of the largest."""
        peaks = [model.peak_memory_bytes() for model in self._models.values()]
        known = [peak for peak in peaks if peak is not None]
        return max(known) if len(known) == len(peaks) else None

    def close(self) -> None:
        """Close all stages."""
        self._opened.close()

    def _contents(self, images: Pictures) -> list[Pictures]:
        return [content_of(image, self._content.input) for image in images]

    def _prepare(self, content: Pictures, pictures: dict[str, Pictures]) -> float:
        """Fill in the picture of each stage; return the milliseconds that it took, models apart."""
        start = time.perf_counter()
        for name in self._stages:
            if name != CLASSIFIER:
                pictures[name] = self._resized(name, content)
        took = time.perf_counter() - start
        raw = self._models[LOCATOR].predict(pictures[LOCATOR][np.newaxis], ignore_progress)
        start = time.perf_counter()
        pictures[CLASSIFIER] = self._classified(content, self._answers(LOCATOR, raw)[0])
        return 1000 * (took + time.perf_counter() - start)

    def _route(self, contents: list[Pictures], progress: Progress) -> _Routed:
        """Run the stages before the classifier."""
        count = len(contents)
        fates = {name: np.full(count, Fate.NOT_REACHED, np.int64) for name in self._stages}
        answers: dict[str, Floats] = {}
        to_locator, to_classifier = np.ones(count, bool), np.zeros(count, bool)
        if FILTER in self._stages:
            answers[FILTER] = self._ask(FILTER, contents, np.arange(count), progress)
            routes = self._routes(answers[FILTER])
            to_locator, to_classifier = routes == LOCATOR, routes == CLASSIFIER
            fates[FILTER] = np.select(
                [to_locator, to_classifier], [Fate.PASSED, Fate.RECOGNISED], Fate.TURNED_AWAY
            )
        rows = np.flatnonzero(to_locator)
        answers[LOCATOR] = self._ask(LOCATOR, contents, rows, progress)
        there = answers[LOCATOR][:, -1] >= self._content.present_from  # False where NaN
        fates[LOCATOR][rows] = np.where(there[rows], Fate.PASSED, Fate.TURNED_AWAY)
        fates[CLASSIFIER][there | to_classifier] = Fate.PASSED
        return _Routed(fates, answers)

    def _ask(
        self, name: str, contents: list[Pictures], rows: NDArray[np.int64], progress: Progress
    ) -> Floats:
        """Return a stage's answers `(images, columns)`; NaN for all images but those of `rows`."""
        output = self._stages[name].record.output
        columns = len(methods_of(output.task).answer_columns(output.classes))
        answers = np.full((len(contents), columns), np.nan, np.float32)
        pictures = [self._resized(name, contents[row]) for row in map(int, rows)]
        self._fill(name, answers, rows, pictures, progress, partial(self._answers, name))
        return answers

    def _fill(
        self,
        name: str,
        values: Floats,
        rows: NDArray[np.int64],
        pictures: list[Pictures],
        progress: Progress,
        decode: Callable[[Floats], Floats] = lambda raw: raw,
    ) -> None:
        """Write what a stage gives for pictures into the rows of `values`, and report progress."""
        before, count = [*self._stages].index(name) * len(values), len(values)

        def report(done: int, total: int, what: str) -> None:
            progress((before + done * count // total) // len(self._stages), count, what)

        if pictures:
            values[rows] = decode(self._models[name].predict(np.stack(pictures), report))
        report(1, 1, "images")

    def _answers(self, name: str, raw: Floats) -> Floats:
        """Turn a stage's raw outputs into answers.

        Raises:
            PupilaError: the outputs do not fit what the stage's record says.
        """
        output = self._stages[name].record.output
        methods = methods_of(output.task)
        if misfit := methods.misfit(output, raw, len(raw)):
            raise PupilaError(f"The {name} of the chain answers with {misfit}.")
        return np.asarray(methods.answers(output, raw), np.float32)

    def _routes(self, probabilities: Floats) -> NDArray[np.object_]:
        """Return the name of the stage after the filter for each image, `(images,)`, or None."""
        record = self._stages[FILTER].record
        classes = record.output.classes
        decided = map(int, _decide(probabilities, classes, record.threshold))
        return np.array([self._content.routes.get(classes[index]) for index in decided], object)

    def _resized(self, name: str, content: Pictures) -> Pictures:
        return resize(Image.fromarray(content), self._stages[name].record.input)

    def _classified(self, content: Pictures, located: Floats) -> Pictures:
        """Return the picture that the classifier gets.

        It is a crop around what the locator found, given its answer for one name, or all of the
        image if the locator was not asked (NaN).
        """
        if np.isnan(located).any():
            return self._resized(CLASSIFIER, content)
        height, width, _ = content.shape
        x, y, half_width, half_height, _ = map(float, located)
        square = square_around(
            (width, height),
            (x * width, y * height),
            (half_width * width, half_height * height),
            self._content.margin,
        )
        return crop(content, square, self._stages[CLASSIFIER].record.input)


def _no_answer(output: OutputSpec) -> float:
    """Return the raw output that gives all classes the same probability."""
    if output.kind == "softmax":
        return 1 / len(output.classes)
    return 0.5 if output.kind == "sigmoid" else 0.0


def _decide(
    probabilities: Floats, classes: Sequence[str], threshold: Threshold | None
) -> NDArray[np.int64]:
    """Return the class of each image as an index, `(images,)`.

    With a shipped threshold, an image is of the threshold's class if its probability reaches the
    threshold. Otherwise, it is of the most probable class (of the others, with a threshold).
    """
    if threshold is None:
        return probabilities.argmax(axis=1)
    column = classes.index(threshold.positive)
    others = np.delete(probabilities, column, axis=1).argmax(axis=1)
    others += others >= column
    return np.where(probabilities[:, column] >= threshold.value, column, others)
