"""Where all tests find real images and teachers, skipping where there are none; and their haste."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator
from pathlib import Path

import pytest

_BESIDE = Path(__file__).resolve().parent.parent / "shared"


def _located(variable: str, folder: str) -> Path:
    path = Path(os.environ.get(variable) or _BESIDE / folder)
    if not path.is_dir():
        pytest.skip(f"needs real files: set {variable}, or put them in {path}")
    return path


@pytest.fixture(autouse=True, scope="module")
def _unburdened() -> Generator[None]:
    """Leave what a file's tests leave behind out of the collections of garbage in later files.

    Keras collects whenever a model is converted or a session cleared; among the graphs of a
    thousand tests, each time takes seconds.
    """
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with `glaucoma.csv`, `glaucoma/<split>/<class>/*.jpg` and more."""
    return _located("PUPILA_DATA", "data")


@pytest.fixture(scope="session")
def shared_teachers() -> Path:
    """Folder with `vgg16_nested.h5`, `xception_nested.keras`, …"""
    return _located("PUPILA_TEACHERS", "teachers")
