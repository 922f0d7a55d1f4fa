"""Where tests find real images and teachers; they skip, saying why, where there are none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_BESIDE = Path(__file__).resolve().parent.parent / "shared"


def _located(variable: str, folder: str) -> Path:
    path = Path(os.environ.get(variable) or _BESIDE / folder)
    if not path.is_dir():
        pytest.skip(f"needs real files: set {variable}, or put them in {path}")
    return path


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with `glaucoma.csv`, `glaucoma/<split>/<class>/*.jpg` and more."""
    return _located("PUPILA_DATA", "data")


@pytest.fixture(scope="session")
def shared_teachers() -> Path:
    """Folder with `vgg16_nested.h5`, `xception_nested.keras`, …"""
    return _located("PUPILA_TEACHERS", "teachers")
