"""Loads a model file into a store as the flow does, by the loader that recognises it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pupila import Artifact, OutputSpec, installed
from pupila.artifact import Origin
from pupila.store import Store

Import = Callable[..., Artifact]


@pytest.fixture
def import_model(tmp_path: Path) -> Import:
    """Return a function that loads a file of a kind of output and classes into an artifact."""
    store = Store(tmp_path / "store")

    def load(
        source: Path, kind: str = "softmax", classes: tuple[str, ...] = ("ill", "well")
    ) -> Artifact:
        loader = installed().loader(source)
        output = OutputSpec.model_validate({"kind": kind, "classes": classes})
        origin = Origin(plugin=loader.name, distribution="pupila-keras", version="0")
        with store.draft() as folder:
            product = loader.load()(source, output, folder)
            return store.add(folder, origin=origin, **vars(product))

    return load
