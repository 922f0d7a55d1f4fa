"""A cache of predictions on disk, by artifact, dataset and augmented view."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from reprlib import repr as shortened

import numpy as np
from filelock import FileLock
from numpy.typing import ArrayLike, NDArray

from pupila.arrays import Rows, is_whole, write_rows
from pupila.artifact import Artifact
from pupila.dataset import Dataset
from pupila.digest import digest_json
from pupila.errors import PupilaError
from pupila.plugin import Runner
from pupila.plugin_registry import installed
from pupila.requirements import versions
from pupila.runtime import OpenModel, Progress
from pupila.store import write_atomically
from pupila.task import answers_of_outputs, methods_of
from pupila.threads import model_threads
from pupila.views import AS_IS, Augmentation

Compute = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""Function from pictures `(n, height, width, 3)` to a row of values each, `(n, columns)`."""
_ReportingCompute = Callable[[NDArray[np.uint8], Progress], NDArray[np.float32]]
"""A `Compute` that also reports its progress."""

_CHUNK_IMAGES = 128
_CHUNK_BYTES = 128 << 20
"""Most images, and about as many bytes of them, rendered at a time; this limits memory."""


@dataclass(frozen=True)
class Predictions:
    """A folder of raw outputs, one array `(images, columns)` per model, dataset and augmented view.

    A model is opened only if outputs are missing. If two processes need the same outputs, the
    second waits until the first has computed them.
    """

    folder: Path

    def of(self, artifact: Artifact, dataset: Dataset, progress: Progress) -> NDArray[np.float32]:
        """Return an artifact's probabilities `(images, classes)` for a dataset's unaltered images.

        Columns are in the order of `dataset.classes`.

        Raises:
            PupilaError: the artifact's classes are not those of the dataset.
        """
        return self.of_views(artifact, dataset, AS_IS, progress)[0]

    def of_views(
        self,
        artifact: Artifact,
        dataset: Dataset,
        augmentation: Augmentation,
        progress: Progress,
    ) -> NDArray[np.float32]:
        """Return probabilities `(views, images, classes)` for every augmented view of every image.

        Classes are in the order of `dataset.classes`.

        Raises:
            PupilaError: the artifact's classes are not those of the dataset.
        """
        columns = _columns(artifact, dataset)
        return self.in_own_order(artifact, dataset, augmentation, progress)[..., columns]

    def in_own_order(
        self,
        artifact: Artifact,
        dataset: Dataset,
        augmentation: Augmentation,
        progress: Progress,
    ) -> NDArray[np.float32]:
        """Return probabilities `(views, images, classes)` for the artifact's own classes.

        The result is for every augmented view of every image. Classes are in the artifact's order.
        Unlike in `of_views`, the dataset may have other classes.
        """
        views = self._views_of_runner(artifact, dataset, augmentation, progress)
        raw = np.stack([np.load(path, mmap_mode="r") for path in views])
        flat = answers_of_outputs(artifact.record.output, raw.reshape(-1, raw.shape[-1]))
        return flat.reshape(*raw.shape[:2], -1)

    def outputs_of_views(
        self,
        artifact: Artifact,
        dataset: Dataset,
        augmentation: Augmentation,
        progress: Progress,
    ) -> list[Rows]:
        """Return an artifact's raw outputs for every augmented view of every image.

        The result is a list with one array `(images, values)` for each view; rows are read from
        disk on access. Names are in the artifact's own order.

        Raises:
            PupilaError: the artifact has another task than the dataset, or does not name the same.
        """
        _columns(artifact, dataset)
        return [
            Rows(path) for path in self._views_of_runner(artifact, dataset, augmentation, progress)
        ]

    def of_pictures(
        self,
        artifact: Artifact,
        dataset: Dataset,
        what: Sequence[str],
        pictures: Callable[[], Iterator[NDArray[np.uint8]]],
        count: int,
        progress: Progress,
    ) -> NDArray[np.float32]:
        """Return probabilities `(count, classes)` for pictures made from a dataset's images.

        `pictures` is a function that yields the pictures in batches, in the artifact's input size.
        It is called only if the probabilities are not in the cache. `what` is part of the cache
        key: texts on everything that the pictures depend on besides the images. Columns are in the
        order of `dataset.classes`.

        Raises:
            PupilaError: the artifact's classes are not those of the dataset.
        """
        columns = _columns(artifact, dataset)
        code = _code_of_runner(artifact)
        key = digest_json([artifact.digest, dataset.fingerprint, list(what), list(code)])
        path = self.folder / f"{key}.npy"
        with self._lock(artifact, dataset):
            if not is_whole(path, count):
                with _open_runner(artifact) as compute:
                    write_rows(path, count, _compute_batches(compute, pictures(), count, progress))
        return answers_of_outputs(artifact.record.output, np.load(path))[:, columns]

    def keep(self, answers: ArrayLike, artifact: Artifact, dataset: Dataset) -> Path:
        """Save probabilities `(images, classes)` for the unaltered images; return the file's path.

        Columns are in the order of `dataset.classes`.
        """
        key = digest_json([artifact.digest, dataset.fingerprint, "probabilities"])
        path = self.folder / f"{key}.npy"
        content = BytesIO()
        np.save(content, np.asarray(answers, np.float32))
        write_atomically(path, content.getvalue())
        return path

    def compute(
        self,
        artifact: Artifact,
        dataset: Dataset,
        augmentation: Augmentation,
        progress: Progress,
        what: str,
        distribution: str,
        opened: Callable[[], AbstractContextManager[Compute]],
    ) -> list[Rows]:
        """Return a quantity of each picture, computed by a given function or read from the cache.

        The result is a list with one array `(images, columns)` for each augmented view; rows are
        read from disk on access.

        `opened` returns a context manager, which is entered only if a view is not in the cache. The
        context manager yields a function that computes the quantity `(n, columns)` from pictures
        `(n, height, width, 3)`: raw RGB in the artifact's input size.

        The cache key contains artifact, images and view, and also `what`, a text that names the
        quantity and everything else that it depends on. `distribution` is the distribution whose
        code computes the quantity; its version and those of its requirements are in the key too.
        """
        code = (what, *versions(distribution), f"{model_threads()} threads")
        paths = self._views(
            artifact, dataset, augmentation, progress, code, partial(_with_progress, opened)
        )
        return [Rows(path) for path in paths]

    def _views_of_runner(
        self,
        artifact: Artifact,
        dataset: Dataset,
        augmentation: Augmentation,
        progress: Progress,
    ) -> list[Path]:
        """Return the file of each view's raw outputs, computed by the runner of the format."""
        code, opened = _code_of_runner(artifact), partial(_open_runner, artifact)
        return self._views(artifact, dataset, augmentation, progress, code, opened)

    def _views(
        self,
        artifact: Artifact,
        dataset: Dataset,
        augmentation: Augmentation,
        progress: Progress,
        code: Sequence[str],
        opened: Callable[[], AbstractContextManager[_ReportingCompute]],
    ) -> list[Path]:
        """Compute the views whose file is missing, and return the file of each view."""
        paths = [
            self.folder / f"{_key(artifact, dataset, augmentation, view, code)}.npy"
            for view in range(augmentation.views)
        ]
        with self._lock(artifact, dataset):
            images = len(dataset)
            missing = [n for n, path in enumerate(paths) if not is_whole(path, images)]
            if missing:
                with opened() as compute:
                    for turn, view in enumerate(missing):
                        done = turn * images
                        report = partial(_report_part, progress, done, len(missing) * images)
                        batches = _compute_view(
                            compute, artifact, dataset, augmentation, view, report
                        )
                        write_rows(paths[view], images, batches)
        return paths

    def _lock(self, artifact: Artifact, dataset: Dataset) -> FileLock:
        """Return the lock that keeps other processes from computing the same outputs."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return FileLock(self.folder / f"{digest_json([artifact.digest, dataset.fingerprint])}.lock")


def open_model(artifact: Artifact, threads: int | None = None) -> OpenModel:
    """Open an artifact in the primary runtime of its format.

    `threads` is the number of threads that compute, by default that of the run.

    Raises:
        PupilaError: no installed plugin runs the artifact, or it is not safe to open.
    """
    runner = installed().runner(artifact.format)
    installed().check(artifact)
    with installed().calling(runner):
        return runner.load()(artifact, threads or model_threads())


def check_outputs(
    outputs: NDArray[np.float32], artifact: Artifact, runner: Runner, images: int
) -> NDArray[np.float32]:
    """Check a runner's outputs `(images, columns)` against the artifact's spec, and return them.

    `images` is the number of images.

    Raises:
        PupilaError: the outputs do not fit the `OutputSpec`.
    """
    try:
        outputs = np.asarray(outputs, np.float32)
        output = artifact.record.output
        misfit = methods_of(output.task).misfit(output, outputs, images)
    except (TypeError, ValueError) as error:  # rows that differ in length, texts, None
        misfit = f"{shortened(outputs)}, which is not an array of numbers ({error})"
    if misfit:
        raise PupilaError(
            f"Runner {runner.name!r} of {installed().origin(runner).distribution} answers with "
            f"{misfit}. Either the model is computed wrongly, or its output is of another kind "
            f"than {artifact.record.output.kind!r}: correct `output` and `classes` of the teacher, "
            f"or the plugin that made or runs the model."
        )
    return outputs


@contextmanager
def _open_runner(artifact: Artifact) -> Generator[_ReportingCompute]:
    runner = installed().runner(artifact.format)
    with closing(open_model(artifact)) as model:
        predict = model.predict

        def predict_checked(pictures: NDArray[np.uint8], progress: Progress) -> NDArray[np.float32]:
            with installed().calling(runner):
                outputs = predict(pictures, progress)
            return check_outputs(outputs, artifact, runner, len(pictures))

        yield predict_checked


@contextmanager
def _with_progress(
    opened: Callable[[], AbstractContextManager[Compute]],
) -> Generator[_ReportingCompute]:
    """Wrap a function that does not report progress, so that each finished batch is reported."""
    with opened() as compute:

        def compute_and_report(
            pictures: NDArray[np.uint8], progress: Progress
        ) -> NDArray[np.float32]:
            values = compute(pictures)
            progress(len(pictures), len(pictures), "images")
            return values

        yield compute_and_report


def _compute_batches(
    compute: _ReportingCompute,
    pictures: Iterator[NDArray[np.uint8]],
    count: int,
    progress: Progress,
) -> Iterator[NDArray[np.float32]]:
    """Yield the computed values of each batch of pictures, `count` in total."""
    done = 0
    for batch in pictures:
        yield np.asarray(compute(batch, partial(_report_part, progress, done, count)), np.float32)
        done += len(batch)


def _code_of_runner(artifact: Artifact) -> tuple[str, ...]:
    """Return texts for a cache key: what answers depend on besides artifact and pictures."""
    registry = installed()
    return (*registry.code_of(registry.runner(artifact.format)), f"{model_threads()} threads")


def _compute_view(
    compute: _ReportingCompute,
    artifact: Artifact,
    dataset: Dataset,
    augmentation: Augmentation,
    view: int,
    progress: Progress,
) -> Iterator[NDArray[np.float32]]:
    """Yield the computed values of one view of all images, in batches."""
    spec = artifact.record.input
    if spec.fit != "stretch" and not augmentation.is_original(view):
        raise PupilaError(
            f"The model ({artifact.format}) reads images with a marker colour around them, which "
            f"cannot be augmented: set `augmentation` to `{{views: 1}}`, or give a model that "
            f"reads images alone."
        )
    pixels = dataset.pixels(spec)
    sha256: list[str] = dataset.frame["sha256"].tolist()
    at_once = max(1, min(_CHUNK_IMAGES, _CHUNK_BYTES // math.prod(spec.shape)))
    for start in range(0, len(pixels), at_once):
        rows = np.arange(start, min(start + at_once, len(pixels)))
        report = partial(_report_part, progress, start, len(pixels))
        values = compute(augmentation.render(pixels, sha256, rows, view), report)
        yield np.asarray(values, np.float32)


def _report_part(
    progress: Progress, start: int, whole: int, done: int, total: int, what: str
) -> None:
    """Report the progress of one part, `done` after its `start`, as progress of the `whole`."""
    del total
    progress(start + done, whole, what)


def _key(
    artifact: Artifact,
    dataset: Dataset,
    augmentation: Augmentation,
    view: int,
    code: Sequence[str],
) -> str:
    picture = None if augmentation.is_original(view) else [augmentation.digest, view]
    return digest_json([artifact.digest, dataset.fingerprint, picture, list(code)])


def _columns(artifact: Artifact, dataset: Dataset) -> list[int]:
    """Return the columns of the artifact's answers in the order of the dataset's classes.

    Raises:
        PupilaError: the artifact has another task or other classes than the dataset.
    """
    output = artifact.record.output
    if output.task != dataset.task:
        raise PupilaError(
            f"The model has learned {output.task}, but the data is labelled for {dataset.task}: "
            f"give a model of that task, or set `data.task`."
        )
    return methods_of(output.task).columns_of(output.classes, dataset.classes)
