"""Opens a model for its answers to images, computed in the model's own runtime."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from pupila.artifact import Artifact
from pupila.data_plugins import DatasetReader
from pupila.data_source import ReaderChoice
from pupila.dataset import UNLABELLED, Dataset
from pupila.errors import PupilaError
from pupila.image_formats import is_image
from pupila.images import upright_rgb
from pupila.pixel_scaling import Preprocess
from pupila.plugin import CLASSIFICATION
from pupila.plugin_registry import installed
from pupila.store import is_artifact
from pupila.task import methods_of
from pupila_flows.api.options import class_names, task_name
from pupila_flows.api.progress import display_progress
from pupila_flows.api.workspace import PathLike, open_workspace
from pupila_flows.data.external.listing import Listing, list_images
from pupila_flows.data.external.reading import scan_rows
from pupila_flows.jobs.predict import Predict
from pupila_flows.plan.plan import planned_artifact
from pupila_flows.run.given_models import import_model, planned_models
from pupila_flows.run.single import perform_alone
from pupila_flows.workspace import Workspace

Picture = PathLike | NDArray[np.uint8] | Image.Image
"""A file, an array `(height, width, 3)` of raw RGB, or an image of Pillow, read as its file is."""
_Named = tuple[str | int, str]
"""What names an image in a table, and the path of its file."""
_DIGEST = re.compile("[0-9a-f]{64}")


class Model:
    """A model that answers images; `load` returns it."""

    def __init__(self, path: Path, artifact: Artifact, workspace: Workspace) -> None:
        self.path = path
        """Folder of the model."""
        self._artifact = artifact
        self._workspace = workspace

    @property
    def digest(self) -> str:
        return self._artifact.digest

    @property
    def format(self) -> str:
        return self._artifact.format

    @property
    def task(self) -> str:
        """What the model has learned, such as `classification`."""
        return self._artifact.record.output.task

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes, in the order of the columns of `predict`; in other tasks, names of things."""
        return self._artifact.record.output.classes

    @property
    def size_bytes(self) -> int:
        return self._artifact.size_bytes

    def predict(self, images: Picture | Iterable[Picture]) -> pd.DataFrame:
        """Return the model's answer to each image, in the order of the images.

        Images are resized as in a run, and answered in the runtime of the model's format, in a
        process that ends before this returns. It takes seconds to start, so give all images at
        once. Answers are remembered in the workspace.

        The result has a row per image: by path for files, by number for others. The column `answer`
        has the answer in words, by the threshold that ships with the model, if one does. The others
        have the numbers: the probability of each class, or what the task answers. A file that
        cannot be read has a row without values, and a warning.

        Args:
            images: A data set in any form that `evaluate` takes, an image or several: files, uint8
                arrays `(height, width, 3)` or `(images, height, width, 3)` of raw RGB, images of
                Pillow.

        Raises:
            PupilaError: there are no images, or none can be read.
            RuntimeError: the process crashed; the message names its log.
        """
        with display_progress(), self._workspace.writing(), self._files_of(images) as files:
            answers = self._answers(list(dict.fromkeys(file for _, file in files)))
        columns = methods_of(self.task).answer_columns(self.classes)
        unknown = (None, *[float("nan")] * len(columns))
        rows = [answers.get(file, unknown) for _, file in files]
        index = pd.Index([name for name, _ in files], name="image")
        return pd.DataFrame(rows, index=index, columns=["answer", *columns])

    def _answers(self, files: list[str]) -> dict[str, tuple[Any, ...]]:
        """Return the answer in words and the numbers of each file that can be read, by path."""
        workspace, output = self._workspace, self._artifact.record.output
        title = f"{self.path.name} on {len(files):,} images"
        rows = tuple({"path": file, "label": "", "split": UNLABELLED} for file in files)
        frame, skipped = scan_rows("reading", Listing(Path(files[0]), rows), workspace.cache)
        images = Dataset.of(frame, output.classes, workspace.cache, output.task)
        done = perform_alone(Predict.of(workspace, title, self._artifact, images))
        for image in skipped:
            warnings.warn(f"{image.path}: {image.reason}", stacklevel=3)
        numbers, task = np.asarray(np.load(done.answers), np.float64), methods_of(output.task)
        decided = task.decided(numbers, output.classes, self._artifact.record.threshold)
        words = [task.describe(answer, output.classes) for answer in decided]
        answered = zip(map(str, images.paths), words, numbers.tolist(), strict=True)
        return {file: (answer, *values) for file, answer, values in answered}

    @contextmanager
    def _files_of(self, images: Picture | Iterable[Picture]) -> Generator[list[_Named]]:
        """Yield name and file of each image; arrays are in temporary files."""
        with TemporaryDirectory(prefix="pupila-") as folder:
            if isinstance(images, str | os.PathLike) and _is_data_set(Path(images)):
                yield self._listed(Path(images))
            else:
                yield _each_file_of(images, Path(folder))

    def _listed(self, path: Path) -> list[_Named]:
        """Return the images of a data set, whose labels may be those of any task."""
        choice = ReaderChoice(cache=self._workspace.cache)
        return [(row["path"], row["path"]) for row in list_images(path, choice=choice).rows]

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"Model {self.path.name!r}: {self.task} of {', '.join(self.classes)}, {self.format}"


def load(
    artifact: PathLike,
    *,
    classes: Sequence[str] | None = None,
    output: str | None = None,
    preprocess: Preprocess = "none",
    task: str | None = None,
    workspace: PathLike | None = None,
) -> Model:
    """Open a model for its answers.

    Args:
        artifact: Folder of an artifact, such as `result.model_path("int8")` or that of a published
            version, or a file in it; the digest of an artifact in the workspace; or any model file
            that a loader reads, which needs `classes`.
        classes: Class of each output column of a model file. One text has them with commas.
        output: Kind of output of a model file: softmax (the default), logits or sigmoid, or a kind
            of the task.
        preprocess: What is done with pixels outside a model file.
        task: What a model file has learned; by default a classification.
        workspace: Folder of all results; by default what `PUPILA_WORKSPACE` names, else `.pupila`.

    Raises:
        PupilaError: the model is not found, was altered, or gives no answers.
        RuntimeError: the process that imports it crashed; the message names its log.
    """
    opened = open_workspace(workspace)
    path = _folder_of(artifact, opened)
    learned = task_name(task)
    names = class_names(classes, learned)
    recorded = _recorded_task(path) if is_artifact(path) else None
    if recorded and learned not in (None, recorded):
        raise PupilaError(
            f"task is {learned!r}, and the record of {str(path)!r} says that it has learned "
            f"{recorded}: leave it out."
        )
    task = learned or recorded or CLASSIFICATION
    (planned,) = planned_models([path], names, (), output, task, preprocess)
    with display_progress(), opened.writing():
        stored = import_model(opened, planned)
    return Model(path if is_artifact(path) else stored.path, stored, opened)


def _recorded_task(artifact: Path) -> str:
    return planned_artifact(artifact.stem, artifact, installed()).spec.task


def _folder_of(artifact: PathLike, workspace: Workspace) -> Path:
    """Return the folder of the artifact that is meant, or the path of a model file."""
    text = os.fspath(artifact)
    if _DIGEST.fullmatch(text):
        return workspace.store.open(text).path
    path = Path(text)
    if not path.exists():
        raise PupilaError(
            f"No model at {text!r}: give the folder of an artifact, the digest of one in "
            f"{str(workspace.root)!r}, or a model file."
        )
    return path.parent if path.is_file() and is_artifact(path.parent) else path


def _is_data_set(path: Path) -> bool:
    """Tell whether a path is a folder, or a file that a reader of data sets recognises."""
    if path.is_dir():
        return True
    readers = installed().all(DatasetReader)
    return not is_image(str(path)) and any(reader.recognises(path) for reader in readers)


def _each_file_of(images: Any, folder: Path) -> list[_Named]:
    one = isinstance(images, str | os.PathLike | Image.Image)
    if one or getattr(images, "ndim", None) == 3:
        images = [images]
    named = [_file_of(image, number, folder) for number, image in enumerate(images)]
    if not named:
        raise PupilaError("There are no images to answer: give one or more.")
    return named


def _file_of(image: Any, number: int, folder: Path) -> _Named:
    if isinstance(image, str | os.PathLike):
        file = Path(cast("PathLike", image))
        if not file.exists():
            raise PupilaError(f"No image at {str(file)!r}: give the path of a file.")
        return str(file), str(file.absolute())
    file = folder / f"{number}.png"
    _picture(image, number).save(file)
    return number, str(file)


def _picture(image: Any, number: int) -> Image.Image:
    if isinstance(image, Image.Image):
        try:
            return upright_rgb(image)
        except PupilaError as error:
            reason = str(error).removesuffix(".")
            raise PupilaError(
                f"Image {number} cannot be read: {reason}. Open another file, or leave it out."
            ) from None
    pixels = np.asarray(image)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise PupilaError(
            f"Image {number} is {pixels.dtype} of shape {pixels.shape}: give raw RGB, uint8 0..255 "
            f"of shape (height, width, 3)."
        )
    return Image.fromarray(pixels)
