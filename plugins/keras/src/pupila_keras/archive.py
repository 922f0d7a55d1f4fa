"""Loads `.keras` archives of Keras 3, and of Keras 2.12 or newer."""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pupila import Artifact, OutputSpec, PupilaError, StepResult
from pupila.keras_files import MODEL_NAME
from pupila.pixel_scaling import PixelScaling
from pupila_keras import legacy
from pupila_keras.building import check_weights
from pupila_keras.finish import finish, is_legacy
from pupila_keras.keras_imports import import_keras
from pupila_keras.reading import file_errors, for_inference, library_errors, parse_config
from pupila_keras.safety import check_config, is_registered
from pupila_keras.storage import check_storage, check_unpacked

_CONFIG, _METADATA, _WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_MOST_MEMBERS = 1000
_MOST_BYTES = {_CONFIG: 1 << 25, _METADATA: 1 << 20}
"""Largest allowed size in bytes, for the archive members that are read as a whole."""


def load(
    source: Path, output: OutputSpec, folder: Path, scaling: PixelScaling | None = None
) -> StepResult:
    """Write the model of a `.keras` archive into `folder` as a Keras 3 model.

    `scaling`, if any, is built into it.

    Raises:
        PupilaError: the archive is damaged, would run code or read other files, or is not a
            classifier of images with the declared output.
    """
    with file_errors(source):
        config, version = _config(source)
        config = for_inference(config)
        check_config(config)
        return finish(_model(source, config, version), output, folder, version, scaling)


def check(artifact: Artifact) -> None:
    """Refuse an artifact that would run code, read other files, or take far too much memory.

    Raises:
        PupilaError: the artifact is damaged, has a class that is neither Keras' own nor registered
            by an installed plugin, refers to other files, or takes far more memory than its size.
    """
    source = artifact.path / MODEL_NAME
    with file_errors(source):
        config, _ = _config(source)
        check_config(config, is_registered)
        with _weights(source) as weights:
            check_storage(weights)
        check_weights(config, source)


def _config(source: Path) -> tuple[dict[str, Any], str]:
    """Return the model's config without training settings, and the Keras version that wrote it.

    Raises:
        PupilaError: the archive is damaged, too large, or not a Keras model.
    """
    if not zipfile.is_zipfile(source):
        raise PupilaError(
            "it is not a complete zip archive, as a .keras file must be: it is cut short, or of "
            "another kind."
        )
    with library_errors("its archive is damaged"), zipfile.ZipFile(source) as archive:
        _check_members(archive.namelist())
        _check_size(source, archive.infolist())
        missing = {_CONFIG, _METADATA}.difference(archive.namelist())
        if missing:
            raise PupilaError(
                f"it is a zip archive, but not a Keras model: it has no {min(missing)}"
            )
        damaged = archive.testzip()
        if damaged:
            raise PupilaError(f"{damaged} does not match its checksum")
        config = parse_config(archive.read(_CONFIG))
        version = str(json.loads(archive.read(_METADATA))["keras_version"])
    config.pop("compile_config", None)
    return config, version


def _check_members(names: list[str]) -> None:
    """Refuse archive members that Keras never writes, as loading would unpack them too."""
    outside = [name for name in names if name.startswith("/") or ".." in name.split("/")]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if len(names) > _MOST_MEMBERS or outside or twice:
        what = f"{len(names):,} members"
        what = f"the member {outside[0]!r}, outside of it" if outside else what
        what = f"{twice[0]!r} twice" if twice else what
        raise PupilaError(f"it holds {what}. Save the model again, from the program that made it.")


def _check_size(source: Path, members: list[zipfile.ZipInfo]) -> None:
    """Refuse an archive that states too large a size for one of its members, or for all of them.

    The stated sizes can be trusted: `zipfile` does not unpack more than the archive states.
    """
    for member in members:
        limit = _MOST_BYTES.get(member.filename)
        if limit and member.file_size > limit:
            raise PupilaError(
                f"its {member.filename} would take {member.file_size:,} bytes: expected at most "
                f"{limit:,}. Save the model again, from the program that made it."
            )
    check_unpacked(sum(member.file_size for member in members), source.stat().st_size)


def _model(source: Path, config: dict[str, Any], version: str) -> Any:
    with _weights(source) as weights:
        check_storage(weights)
        if is_legacy(version):
            return legacy.build(config, weights, source)
        check_weights(config, source)
        named = weights.with_name("model.keras")  # Keras decides by the suffix
        _write_checked(source, config, weights, named)
        with library_errors("Keras cannot read it"):
            return import_keras().saving.load_model(named, compile=False, safe_mode=True)


def _write_checked(source: Path, config: dict[str, Any], weights: Path, target: Path) -> None:
    """Write the archive `source` with another config: Keras also reads what was left out of it."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        new.writestr(_METADATA, old.read(_METADATA))
        new.writestr(_CONFIG, json.dumps(config))
        new.write(weights, _WEIGHTS)


@contextmanager
def _weights(source: Path) -> Generator[Path]:
    """Unpack an archive's weights into a temporary folder, and yield the path of the file."""
    with tempfile.TemporaryDirectory() as folder:
        with library_errors("it has no weights"), zipfile.ZipFile(source) as archive:
            weights = archive.extract(_WEIGHTS, folder)
        yield Path(weights)
