"""Converts a small classifier to a format, with the exporters that are installed."""

from __future__ import annotations

from pathlib import Path

from pupila.artifact import Artifact
from pupila.errors import PupilaError
from pupila.plugin import Exporter
from pupila.plugin_registry import installed
from pupila.store import Store
from pupila.testing.steps import run_step


def converted(model: Artifact, formats: frozenset[str], store: Store, folder: Path) -> Artifact:
    """Return a model in one of several formats; a new `folder` holds what steps write.

    One or two installed exporters convert it, with their default settings.

    Raises:
        PupilaError: none of them gets from the model's format to these.
    """
    if model.format in formats:
        return model
    exporters = [e for e in installed().all(Exporter) if e.evaluated and e.produces]
    last = [e for e in exporters if e.produces in formats]
    ways = [[e] for e in last if model.format in e.accepts]
    ways += [
        [first, second]
        for second in last
        for first in exporters
        if model.format in first.accepts and first.produces in second.accepts
    ]
    if not ways:
        raise PupilaError(
            f"No installed exporter makes any of {sorted(formats)} of a {model.format} model: "
            f"install one, or override what makes the model in the test class."
        )
    for number, exporter in enumerate(ways[0]):
        ran = run_step(exporter, exporter.config(), [model], folder / str(number), store=store)
        model = ran.artifact
    return model
