"""Predictions computed once and kept: by (artifact, images, view), for whoever asks next."""

from __future__ import annotations

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
from pupila.errors import PupilaError, list_names
from pupila.plugin import Runner
from pupila.plugin_registry import installed
from pupila.requirements import versions
from pupila.runtime import OpenModel, Progress
from pupila.store import write_atomically
from pupila.threads import model_threads
from pupila.views import AS_IS, Augmentation

Compute = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""From pictures `(n, height, width, 3)` to something of each `(n, columns)`."""
_Telling = Callable[[NDArray[np.uint8], Progress], NDArray[np.float32]]
"""The same, telling its progress."""

_CHUNK_IMAGES = 128
"""Images rendered at a time: bounds memory, whatever the size of the dataset."""


@dataclass(frozen=True)
class Predictions:
    """A folder of raw outputs, one array `(images, columns)` per model, dataset and view.

    A model is opened only for what is not there yet; two processes that ask for the same at once
    wait for each other.
    """

    folder: Path

    def of(self, artifact: Artifact, dataset: Dataset, progress: Progress) -> NDArray[np.float32]:
        """Return probabilities `(images, classes)` of the unaltered images.

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
        """Return probabilities `(views, images, classes)` of every view of every image.

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
        """Return probabilities `(views, images, classes)`, whatever the dataset's classes are.

        Columns are in the order of the artifact's own classes.
        """
        views = self._views(
            artifact,
            dataset,
            augmentation,
            progress,
            _code_of_runner(artifact),
            partial(_opened, artifact),
        )
        raw = np.stack([np.load(path, mmap_mode="r") for path in views])
        flat = artifact.record.output.probabilities(raw.reshape(-1, raw.shape[-1]))
        return flat.reshape(*raw.shape[:2], -1)

    def of_pictures(
        self,
        artifact: Artifact,
        dataset: Dataset,
        what: Sequence[str],
        pictures: Callable[[], Iterator[NDArray[np.uint8]]],
        count: int,
        progress: Progress,
    ) -> NDArray[np.float32]:
        """Return probabilities `(count, classes)` of pictures made of a dataset's images.

        `pictures` makes them, some at a time, of the artifact's input size; `what` is all that they
        depend on beside the images, and part of the key. Columns are in the order of
        `dataset.classes`.

        Raises:
            PupilaError: the artifact's classes are not those of the dataset.
        """
        columns = _columns(artifact, dataset)
        code = _code_of_runner(artifact)
        key = digest_json([artifact.digest, dataset.fingerprint, list(what), list(code)])
        path = self.folder / f"{key}.npy"
        with self._alone(artifact, dataset):
            if not is_whole(path, count):
                with _opened(artifact) as compute:
                    write_rows(path, count, _answers(compute, pictures(), count, progress))
        return artifact.record.output.probabilities(np.load(path))[:, columns]

    def keep(self, answers: ArrayLike, artifact: Artifact, dataset: Dataset) -> Path:
        """Write probabilities `(images, classes)` of the unaltered images beside the raw outputs.

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
        """Return something else of every view of every image: `(images, columns)`, by view.

        They stay on disk until rows are asked for. `what` names the quantity with all that it
        depends on beside artifact, images and view: it is part of the key, and so are the versions
        of `distribution`, whose code computes it, and of what that requires. `opened` gives what
        computes it from pictures of the artifact's input size, raw RGB as models read it; it is
        entered once, and only if a view is missing.
        """
        code = (what, *versions(distribution), f"{model_threads()} threads")
        paths = self._views(
            artifact, dataset, augmentation, progress, code, partial(_telling, opened)
        )
        return [Rows(path) for path in paths]

    def _views(
        self,
        artifact: Artifact,
        dataset: Dataset,
        augmentation: Augmentation,
        progress: Progress,
        code: Sequence[str],
        opened: Callable[[], AbstractContextManager[_Telling]],
    ) -> list[Path]:
        """Return the file of each view; compute those that are missing."""
        paths = [
            self.folder / f"{_key(artifact, dataset, augmentation, view, code)}.npy"
            for view in range(augmentation.views)
        ]
        with self._alone(artifact, dataset):
            images = len(dataset)
            missing = [n for n, path in enumerate(paths) if not is_whole(path, images)]
            if missing:
                with opened() as compute:
                    for turn, view in enumerate(missing):
                        done = turn * images
                        told = partial(_shifted, progress, done, len(missing) * images)
                        parts = _parts(compute, artifact, dataset, augmentation, view, told)
                        write_rows(paths[view], images, parts)
        return paths

    def _alone(self, artifact: Artifact, dataset: Dataset) -> FileLock:
        """Return what keeps other processes from computing the same."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return FileLock(self.folder / f"{digest_json([artifact.digest, dataset.fingerprint])}.lock")


def open_model(artifact: Artifact, threads: int | None = None) -> OpenModel:
    """Open an artifact in the runtime of its format, with `threads` threads or those of a run.

    Raises:
        PupilaError: no installed plugin runs it, or it is not safe to open.
    """
    runner = installed().runner(artifact.format)
    installed().check(artifact)
    return runner.load()(artifact, threads or model_threads())


def check_outputs(
    outputs: NDArray[np.float32], artifact: Artifact, runner: Runner, images: int
) -> NDArray[np.float32]:
    """Return what a runner answered to so many images, if it keeps to the artifact's contract.

    Raises:
        PupilaError: it does not.
    """
    try:
        outputs = np.asarray(outputs, np.float32)
        misfit = artifact.record.output.misfit(outputs, images)
    except (TypeError, ValueError) as error:  # of rows that differ in length, of texts, of None
        misfit = f"{shortened(outputs)}, which is no array of numbers ({error})"
    if misfit:
        raise PupilaError(
            f"Runner {runner.name!r} of {installed().origin(runner).distribution} answers with "
            f"{misfit}. The model does not compute there as it should, or its output is of another "
            f"kind than {artifact.record.output.kind!r}: correct `output` and `classes` of the "
            f"teacher, or the plugin that made or runs the model."
        )
    return outputs


@contextmanager
def _opened(artifact: Artifact) -> Generator[_Telling]:
    runner = installed().runner(artifact.format)
    with closing(open_model(artifact)) as model:
        predict = model.predict

        def predict_checked(pictures: NDArray[np.uint8], progress: Progress) -> NDArray[np.float32]:
            return check_outputs(predict(pictures, progress), artifact, runner, len(pictures))

        yield predict_checked


@contextmanager
def _telling(opened: Callable[[], AbstractContextManager[Compute]]) -> Generator[_Telling]:
    """Let a function that tells no progress tell that its pictures are done."""
    with opened() as compute:

        def compute_and_report(
            pictures: NDArray[np.uint8], progress: Progress
        ) -> NDArray[np.float32]:
            found = compute(pictures)
            progress(len(pictures), len(pictures), "images")
            return found

        yield compute_and_report


def _answers(
    compute: _Telling, pictures: Iterator[NDArray[np.uint8]], count: int, progress: Progress
) -> Iterator[NDArray[np.float32]]:
    """Compute something of each batch of pictures, `count` in all."""
    done = 0
    for batch in pictures:
        yield np.asarray(compute(batch, partial(_shifted, progress, done, count)), np.float32)
        done += len(batch)


def _code_of_runner(artifact: Artifact) -> tuple[str, ...]:
    """Return all that the answers of an artifact depend on beside itself and the pictures."""
    registry = installed()
    return (*registry.code_of(registry.runner(artifact.format)), f"{model_threads()} threads")


def _parts(
    compute: _Telling,
    artifact: Artifact,
    dataset: Dataset,
    augmentation: Augmentation,
    view: int,
    progress: Progress,
) -> Iterator[NDArray[np.float32]]:
    """Compute one view of all images, some at a time."""
    pixels = dataset.pixels(artifact.record.input)
    sha256: list[str] = dataset.frame["sha256"].tolist()
    for start in range(0, len(pixels), _CHUNK_IMAGES):
        rows = np.arange(start, min(start + _CHUNK_IMAGES, len(pixels)))
        told = partial(_shifted, progress, start, len(pixels))
        found = compute(augmentation.render(pixels, sha256, rows, view), told)
        yield np.asarray(found, np.float32)


def _shifted(progress: Progress, start: int, whole: int, done: int, total: int, what: str) -> None:
    """Report a part's progress (`done` of its own `total`) as progress of the whole."""
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
    """Where each class of the dataset stands among the artifact's columns."""
    classes = artifact.record.output.classes
    if sorted(classes) != sorted(dataset.classes):
        raise PupilaError(
            f"The model tells {list_names(classes)} apart, but the data is labelled "
            f"{list_names(dataset.classes)}: both must name the same classes. Correct `classes` of "
            f"the teacher, or the labels of the data."
        )
    return [classes.index(name) for name in dataset.classes]
