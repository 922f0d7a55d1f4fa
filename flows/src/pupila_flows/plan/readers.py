"""What reads the images of a recipe, and what it finds at their paths."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from pupila import layout
from pupila.data_plugins import DatasetReader
from pupila.data_source import ReaderChoice
from pupila.dataset import LABELLED_SPLITS
from pupila.errors import PupilaError
from pupila.plugin_registry import PluginRegistry
from pupila_flows.data.external.listing import Listing, list_images
from pupila_flows.recipe.errors import mistakes
from pupila_flows.recipe.reader import ReaderSection
from pupila_flows.recipe.source import Location, Source

ValueT = TypeVar("ValueT")
Checking = Generator[tuple[Location, str], None, ValueT]
"""Generator that yields mistakes and returns a value; see `pupila_flows.plan.facts`."""


def choose_reader(
    plugins: PluginRegistry,
    source: Source,
    section: ReaderSection | None,
    location: Location,
    cache: Path | None,
) -> Checking[ReaderChoice | None]:
    """Return what a section `reader` chooses; None if no such reader takes these settings."""
    if section is None:
        return ReaderChoice(cache=cache)
    try:
        reader = plugins.find(DatasetReader, section.use)
    except PupilaError as error:
        yield (*location, "use"), str(error)
        return None
    try:
        with plugins.calling(reader, ValidationError):
            reader.config.model_validate(section.config)
    except ValidationError as error:
        yield from mistakes(error, source, reader.config, (*location, "with"))
        return None
    return ReaderChoice(section.use, section.config, cache)


def labels_at(
    path: Path, task: str, classes: tuple[str, ...] | None, choice: ReaderChoice
) -> Checking[tuple[str, ...] | None]:
    """Return the labels of the images of a folder or CSV; None if they cannot be read."""
    location = ("data", "path")
    try:
        labels = layout.labels(path, task, classes, choice)
    except PupilaError as error:
        yield location, str(error)
        return None
    except OSError as error:
        yield location, f"{error.filename!r} cannot be read ({error.strerror})."
        return None
    if not labels:
        yield (
            location,
            f"the images of {str(path)!r} are all unlabelled: add labelled ones in the splits "
            f"{', '.join(LABELLED_SPLITS)}.",
        )
    return labels


def listing_at(
    path: Path,
    folder: Path | None,
    split: str | None,
    task: str,
    classes: tuple[str, ...] | None,
    choice: ReaderChoice,
    location: Location,
) -> Checking[Listing | None]:
    """Return external images; None if they cannot be read."""
    try:
        return list_images(path, folder, task, classes, choice).of_split(split)
    except PupilaError as error:
        yield location, str(error)
    except OSError as error:
        yield location, f"{error.filename!r} cannot be read ({error.strerror})."
    return None
