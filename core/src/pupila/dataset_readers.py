"""Which reader reads a data set, and the images that it lists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from pathlib import Path

from pupila.data_plugins import DatasetReader
from pupila.data_source import AUTOMATIC, Classes, DataSource, ListedImage, ReaderChoice
from pupila.errors import PupilaError, join_names
from pupila.folder_layout import LAYOUT
from pupila.paths import is_special, slash_hint
from pupila.plugin import CLASSIFICATION
from pupila.plugin_registry import READERS_VARIABLE, installed
from pupila.requirements import CORE


def no_data_error(path: Path) -> PupilaError:
    """Return the error for a path that is neither a folder nor a file."""
    return PupilaError(
        f"No data at {str(path)!r}: expected a folder of images ({LAYOUT}) or a CSV "
        f"manifest.{slash_hint(path)}"
    )


def reader_of(path: Path, choice: ReaderChoice = AUTOMATIC) -> DatasetReader:
    """Return the reader of a data set: the one that is chosen, or else that recognises it.

    The readers of core, which take any folder and any `.csv`, are asked last.

    Raises:
        PupilaError: nothing is there, no reader of the name is installed, none recognises it, or
            several do and `PUPILA_READERS` names none of them.
    """
    registry = installed()
    if not path.exists() or is_special(path):
        raise no_data_error(path)
    if choice.name is not None:
        return registry.find(DatasetReader, choice.name)
    recognising = [one for one in registry.all(DatasetReader) if _recognises(one, path)]
    added = [one for one in recognising if registry.origin(one).distribution != CORE]
    if candidates := added or recognising:
        return registry.only(candidates, f"recognise {str(path)!r}", READERS_VARIABLE)
    known = join_names(reader.summary for reader in registry.all(DatasetReader))
    raise PupilaError(
        f"{str(path)!r} is neither a folder of images nor a .csv file, and no installed reader "
        f"reads it. Installed: {known}.{registry.skipped()}"
    )


def list_images(
    path: Path,
    task: str = CLASSIFICATION,
    classes: Classes = None,
    choice: ReaderChoice = AUTOMATIC,
    left_out: Counter[str] | None = None,
    *,
    complete: bool = True,
) -> Generator[ListedImage]:
    """Yield the images of a data set as its reader lists them.

    `left_out` counts the files by suffix that are not images. See `DataSource.complete`.

    Raises:
        PupilaError: the data is not in the form that the reader expects.
        OSError: a folder or file may not be read.
    """
    reader = reader_of(path, choice)
    with installed().calling(reader, OSError):
        source = DataSource(
            path.absolute(),
            reader.config.model_validate(dict(choice.settings)),
            installed().task(task),
            classes,
            complete,
            choice.cache,
            Counter[str]() if left_out is None else left_out,
        )
        for image in reader.load()(source):
            yield _checked(image)


def _recognises(reader: DatasetReader, path: Path) -> bool:
    with installed().calling(reader, OSError):
        return reader.recognises(path)


def _checked(image: object) -> ListedImage:
    """Make sure that a reader yields images as texts.

    Raises:
        TypeError: it does not.
    """
    if not isinstance(image, ListedImage):
        raise TypeError(f"it yielded {image!r:.80}, where a `ListedImage` was expected")
    for column, value in image.values.items():
        if not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(
                f"it gave {column!r} the value {value!r:.80}, where a text was expected"
            )
    return image
