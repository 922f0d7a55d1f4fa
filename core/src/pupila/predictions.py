"""Predictions computed once and kept: by (artifact, images, view), for whoever asks next."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from pupila.digest import digest_json
from pupila.errors import PupilaError
from pupila.views import Augmentation

if TYPE_CHECKING:
    from pupila.artifact import Artifact
    from pupila.dataset import Dataset
    from pupila.plugin import OpenModel, Progress

_CHUNK_IMAGES = 128
"""Images rendered at a time: bounds memory, whatever the size of the dataset."""

_AS_IS = Augmentation(views=1)


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
        return self.of_views(artifact, dataset, _AS_IS, progress)[0]

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
        paths = [
            self.folder / f"{_key(artifact, dataset, augmentation, view)}.npy"
            for view in range(augmentation.views)
        ]
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / f"{digest_json([artifact.digest, dataset.fingerprint])}.lock"):
            missing = [view for view, path in enumerate(paths) if not path.exists()]
            if missing:
                with closing(open_model(artifact)) as model:
                    for turn, view in enumerate(missing):
                        done = turn * len(dataset)
                        told = partial(_shifted, progress, done, len(missing) * len(dataset))
                        outputs = _compute(model, artifact, dataset, augmentation, view, told)
                        _save(outputs, paths[view])
        raw = np.stack([np.load(path) for path in paths])
        flat = artifact.record.output.probabilities(raw.reshape(-1, raw.shape[-1]))
        return flat.reshape(*raw.shape[:2], -1)[..., columns]


def open_model(artifact: Artifact, threads: int | None = None) -> OpenModel:
    """Open an artifact in the runtime of its format, with all cores unless `threads` says less."""
    from pupila.registry import installed

    runner = installed().runner(artifact.format)
    return runner.load()(artifact, threads or os.cpu_count() or 1)


def _compute(
    model: OpenModel,
    artifact: Artifact,
    dataset: Dataset,
    augmentation: Augmentation,
    view: int,
    progress: Progress,
) -> NDArray[np.float32]:
    """Predict one view of all images, some at a time."""
    pixels = dataset.pixels(artifact.record.input)
    sha256 = dataset.frame["sha256"].tolist()
    outputs: list[NDArray[np.float32]] = []
    for start in range(0, len(pixels), _CHUNK_IMAGES):
        rows = range(start, min(start + _CHUNK_IMAGES, len(pixels)))
        images = np.stack([augmentation.view(pixels[row], sha256[row], view) for row in rows])
        told = partial(_shifted, progress, start, len(pixels))
        outputs.append(model.predict(images, told))
    return np.concatenate(outputs)


def _shifted(progress: Progress, start: int, whole: int, done: int, total: int, what: str) -> None:
    """Report a part's progress (`done` of its own `total`) as progress of the whole."""
    del total
    progress(start + done, whole, what)


def _key(artifact: Artifact, dataset: Dataset, augmentation: Augmentation, view: int) -> str:
    from pupila.registry import installed

    registry = installed()
    runtime = registry.origin(registry.runner(artifact.format))
    code = [runtime.plugin.name, runtime.distribution, runtime.version, version("pupila-core")]
    picture = [augmentation.digest, view] if view else None
    return digest_json([artifact.digest, dataset.fingerprint, picture, code])


def _save(outputs: NDArray[np.float32], path: Path) -> None:
    unfinished = path.with_suffix(".partial")
    with unfinished.open("wb") as stream:
        np.save(stream, outputs)
    unfinished.replace(path)


def _columns(artifact: Artifact, dataset: Dataset) -> list[int]:
    """Where each class of the dataset stands among the artifact's columns."""
    classes = artifact.record.output.classes
    if sorted(classes) != sorted(dataset.classes):
        raise PupilaError(
            f"The model tells {list(classes)} apart, but the data is labelled "
            f"{list(dataset.classes)}: both must name the same classes. Correct `classes` of the "
            f"teacher, or the labels of the data."
        )
    return [classes.index(name) for name in dataset.classes]
