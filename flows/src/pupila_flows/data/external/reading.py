"""Reads external images, and refuses those that a run or a model has already seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from pupila import manifest
from pupila.dataset import UNLABELLED, Dataset
from pupila.errors import PupilaError
from pupila.image_formats import describe_left_out
from pupila_flows.data.external.listing import TEST, Listing
from pupila_flows.data.training_images import TrainingImages, find_repeats
from pupila_flows.progress import current_display
from pupila_flows.results import SkippedImage

_EXAMPLES = 3


@dataclass(frozen=True)
class ExternalImages:
    """External images, all in one split: `test` if they have labels, otherwise `unlabelled`."""

    name: str
    source: Path
    dataset: Dataset
    labelled: bool
    skipped: tuple[SkippedImage, ...]
    """Files that were skipped because they cannot be read."""


def read_external(
    name: str, listing: Listing, classes: Sequence[str], cache: Path
) -> ExternalImages:
    """Read and measure the images of a listing; skip files that cannot be read.

    The labels must be classes already, as `Listing.with_classes` returns them.

    Raises:
        PupilaError: no image can be read.
    """
    frame, skipped = scan_rows(name, listing, cache)
    labelled = bool(listing.labels)
    frame["split"] = TEST if labelled else UNLABELLED
    return ExternalImages(
        name,
        listing.source,
        Dataset.of(frame, classes, cache, listing.task),
        labelled,
        skipped,
    )


def scan_rows(
    title: str, listing: Listing, cache: Path
) -> tuple[pd.DataFrame, tuple[SkippedImage, ...]]:
    """Measure images; return a frame of the readable images, and the files that cannot be read.

    `title` names the images in the display of progress.

    Raises:
        PupilaError: no image can be read.
    """
    display = current_display.get()
    frame = manifest.scan(pd.DataFrame(list(listing.rows)), cache, partial(display.update, title))
    broken = frame["error"] != ""
    files = zip(frame["path"][broken].tolist(), frame["error"][broken].tolist(), strict=True)
    skipped = tuple(SkippedImage(path=path, reason=reason) for path, reason in files)
    if len(skipped) == len(frame):
        raise PupilaError(
            f"None of the {len(frame)} images of {str(listing.source)!r} can be read, first "
            f"{skipped[0].path!r}: {skipped[0].reason}."
        )
    left = f", {len(skipped)} more cannot be read" if skipped else ""
    left += describe_left_out(listing.left_out)
    display.finish(title, f"{len(frame) - len(skipped)} images{left}")
    return frame[~broken].reset_index(drop=True), skipped


def refuse_run_images(images: ExternalImages, data: Dataset, distance: int) -> None:
    """Refuse external images that repeat images of a run's data, in any split.

    Two images also count as the same if their perceptual hashes differ in at most `distance` bits.

    Raises:
        PupilaError: some images repeat images of the run.
    """
    hashes = zip(data.frame["sha256"].tolist(), data.frame["phash"].tolist(), strict=True)
    refuse_repeats(images, dict(hashes), distance, "in the run's own data")


def refuse_seen_images(
    images: ExternalImages, who: str, known: TrainingImages | None, distance: int
) -> None:
    """Refuse external images that a model is known to have been trained on.

    `who` names the model in the message. `known` has the images that the model was trained on; if
    `known` is None, nothing is refused.

    Raises:
        PupilaError: the model was trained on some of the images.
    """
    if known:
        refuse_repeats(images, known.images, distance, f"among those {who} was trained on")


def refuse_repeats(
    images: ExternalImages, hashes: dict[str, str], distance: int, where: str
) -> None:
    """Refuse external images that are the same as other images, or nearly the same.

    `hashes` maps the SHA-256 of the file of every other image to the image's perceptual hash.
    Images are nearly the same if their perceptual hashes differ in at most `distance` bits.
    `where` says in the message where the other images are.

    Raises:
        PupilaError: some external images repeat other images.
    """
    is_repeat = find_repeats(hashes, images.dataset, distance)
    repeats = [path for path, known in zip(images.dataset.paths, is_repeat, strict=True) if known]
    if not repeats:
        return
    same = sum(digest in hashes for digest in images.dataset.frame["sha256"].tolist())
    examples = ", ".join(path.name for path in repeats[:_EXAMPLES])
    more = ", …" if len(repeats) > _EXAMPLES else ""
    raise PupilaError(
        f"{len(repeats)} of the {len(images.dataset)} images of {images.name!r} are {where} "
        f"({examples}{more}): {same} the same files, {len(repeats) - same} nearly the same "
        f"pictures (at most {distance} bits of the perceptual hash differ). Take them out of "
        f"{str(images.source)!r}: images that a model has seen say nothing about another place."
    )
