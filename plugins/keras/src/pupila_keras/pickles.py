"""Refuses pickles, because opening a pickle runs the code in it."""

from __future__ import annotations

from pathlib import Path

from pupila import OutputSpec, PupilaError


def refuse(source: Path, output: OutputSpec, folder: Path) -> None:
    """Refuse a pickle with a message that names the file.

    Raises:
        PupilaError: always.
    """
    del output, folder
    raise PupilaError(
        f"{str(source)!r} is a pickle, and opening one runs whatever code it holds: refused. "
        "Save the model from the program that made it, with model.save('model.keras')."
    )
