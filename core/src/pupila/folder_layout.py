"""The reader of folders of images; it comes in by the hook of all readers."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from pupila.data_plugins import DatasetReader
from pupila.data_source import DataSource, ListedImage
from pupila.dataset import LABELLED_SPLITS, UNLABELLED
from pupila.errors import PupilaError, nearest
from pupila.hookspecs import hookimpl
from pupila.image_formats import count_by_suffix, count_left_out, is_image
from pupila.label_columns import check_takes_folders
from pupila.names import composed
from pupila.paths import check_encoding
from pupila.plugin import Config

SPLIT_OF = {
    **{name: name for name in LABELLED_SPLITS},
    "val": "validation",
    "valid": "validation",
    UNLABELLED: UNLABELLED,
    "unlabeled": UNLABELLED,
}
"""Split that a name stands for."""
FOLDER = f"{__name__}:read"
LAYOUT = "train/<class>/*, validation/<class>/* and test/<class>/*"


@hookimpl
def pupila_datasets() -> Iterator[DatasetReader]:
    """Yield the reader of folders."""
    yield DatasetReader(
        name="folder",
        summary="A folder of images, with a folder for each class",
        recognises=Path.is_dir,
        implementation=FOLDER,
    )


def read(source: DataSource[Config]) -> Iterator[ListedImage]:
    """List the images of a folder.

    It has the layout `train/<class>/*`, `validation/<class>/*` (or `val`, `valid`),
    `test/<class>/*`. Subfolders of a class folder belong to that class. Images without a label lie
    anywhere below `unlabelled` (or `unlabeled`). If models are only evaluated on them, the folders
    of splits may be missing, and those of classes too.

    Raises:
        PupilaError: the folder has another layout, or no images.
        OSError: a folder may not be read.
    """
    if source.complete:
        check_takes_folders(source.path, source.task.name)
        yield from _complete(source)
    elif source.task.takes_folders:
        yield from _any_layout(source)
    else:
        yield from map(partial(_without_label, source), _any_layout(source))


def _complete(source: DataSource[Config]) -> Iterator[ListedImage]:
    has_images = False
    for split_folder in split_folders(source.path):
        split = SPLIT_OF[split_folder.name]
        for label, folder in folders_by_label(split_folder):
            for image in _images_below(source, folder, label, split):
                has_images = True
                yield image
    if not has_images:
        raise no_images_error(source.path, source.left_out)


def _images_below(
    source: DataSource[Config], folder: Path, label: str, split: str
) -> Iterator[ListedImage]:
    for file in sorted(files_below(folder)):
        if is_image(file):
            yield ListedImage("", {"path": file, "label": label, "split": split})
        else:
            source.leave_out(file)


def labels_of_folders(root: Path) -> tuple[str, ...]:
    """Return the sorted names of the class folders with an image, looking for the first in each.

    Raises:
        PupilaError: the folder has another layout, or no images.
    """
    names, left_out = set[str](), Counter[str]()
    for split_folder in split_folders(root):
        for label, folder in folders_by_label(split_folder):
            if label in names:
                continue
            for file in files_below(folder):
                if is_image(file):
                    names.add(label)
                    break
                count_left_out(file, left_out)
    if not names:
        raise no_images_error(root, left_out)
    return tuple(sorted(names - {""}))


def _any_layout(source: DataSource[Config]) -> Iterator[ListedImage]:
    root = source.path
    folders = folders_in(root)
    if not folders or not all(folder.name in SPLIT_OF for folder in folders):
        yield from _split(source, root, "")
        return
    if count_images(root):
        raise PupilaError(
            f"{str(root)!r} has images beside the folders of splits, which are in no split: "
            f"move them into one."
        )
    for folder in folders:
        yield from _split(source, folder, SPLIT_OF[folder.name])


def _without_label(source: DataSource[Config], image: ListedImage) -> ListedImage:
    """Return an image without a label, for a task in which the name of a folder is not one.

    Raises:
        PupilaError: it is in the folder of a class.
    """
    label = image.values["label"]
    if label:
        columns = ", ".join(("path", *source.task.label_columns))
        raise PupilaError(
            f"{str(source.path)!r} has folders of classes, such as {label!r}, and the task "
            f"{source.task.name!r} has none: put all images into one folder, without labels, or "
            f"give a CSV with the columns {columns}."
        )
    return ListedImage(image.origin, {name: image.values[name] for name in ("path", "split")})


def _split(source: DataSource[Config], root: Path, split: str) -> Iterator[ListedImage]:
    """Yield a split's images, labelled by folder, or without labels if `root` itself has images."""
    folders, alone = folders_in(root), count_images(root)
    if split != UNLABELLED and not alone:
        for folder in folders:
            yield from _images_below(source, folder, composed(folder.name), split)
        return
    if split != UNLABELLED and any(
        is_image(file) for below in folders for file in files_below(below)
    ):
        raise PupilaError(
            f"{str(root)!r} has {alone} images and folders of images beside them: put each into "
            f"the folder of its class, or all into one folder, without labels."
        )
    yield from _images_below(source, root, "", split)


def no_images_error(root: Path, left_out: Mapping[str, int]) -> PupilaError:
    """Return the error for a folder without images; `left_out` has the numbers of other files."""
    kinds = f" ({count_by_suffix(left_out)})" if left_out else ""
    return PupilaError(
        f"No images under {str(root)!r}: its folders hold {sum(left_out.values())} files{kinds}, "
        f"none of them an image that an installed decoder reads. Expected {LAYOUT}."
    )


def split_folders(root: Path) -> list[Path]:
    """Return the folders directly under `root`, each of which is a split.

    Raises:
        PupilaError: images or other folders lie directly under `root`, or no split folder does.
    """
    folders = folders_in(root)
    splits = [folder for folder in folders if folder.name in SPLIT_OF]
    others = [folder for folder in folders if folder.name not in SPLIT_OF]
    images = count_images(root)
    if images:
        raise PupilaError(
            f"{images} images lie directly in {str(root)!r}, so they have no split and no class. "
            f"Expected {LAYOUT}."
        )
    if not splits:
        names = ", ".join(repr(folder.name) for folder in others[:5]) or "no folders"
        raise PupilaError(
            f"{str(root)!r} has no split folders: found {names}. Expected {LAYOUT}."
            + (nearest(others[0].name, SPLIT_OF) if others else "")
        )
    if others:
        raise PupilaError(
            f"{str(others[0])!r} is not a split: expected no other folders than train, validation, "
            f"test and unlabelled.{nearest(others[0].name, SPLIT_OF)}"
        )
    return splits


def folders_by_label(split_folder: Path) -> list[tuple[str, Path]]:
    """Return a label and the folder of its images, for each class of a split.

    The split `unlabelled` counts as one class with the label "".

    Raises:
        PupilaError: images of a labelled split lie directly in the split's folder.
    """
    if SPLIT_OF[split_folder.name] == UNLABELLED:
        return [("", split_folder)]
    return [(composed(folder.name), folder) for folder in _class_folders(split_folder)]


def _class_folders(split_folder: Path) -> list[Path]:
    images = count_images(split_folder)
    if images:
        raise PupilaError(
            f"{images} images lie directly in {str(split_folder)!r}, so they have no class. "
            f"Expected one folder per class: {split_folder.name}/<class>/*."
        )
    return folders_in(split_folder)


def folders_in(folder: Path) -> list[Path]:
    """Return the subfolders, sorted, without hidden ones such as `.git` and `.ipynb_checkpoints`.

    Raises:
        PupilaError: the path of a subfolder is not in UTF-8.
    """
    folders = sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] != ".")
    for path in folders:
        check_encoding(str(path))
    return folders


def count_images(folder: Path) -> int:
    """Count the images directly in a folder, not those in subfolders."""
    return sum(1 for path in folder.iterdir() if path.is_file() and is_image(str(path)))


def files_below(folder: Path) -> Iterator[str]:
    """Yield the paths of all files at any depth, except in hidden folders.

    Raises:
        PupilaError: the path of a file is not in UTF-8.
    """
    for parent, folders, names in os.walk(folder):
        folders[:] = (name for name in folders if not name.startswith("."))
        for name in names:
            file = os.path.join(parent, name)  # noqa: PTH118  a Path for each of many files is slow
            check_encoding(file)
            yield file
