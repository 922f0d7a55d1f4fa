"""Copies the model of a step out of a run, with its card."""

from __future__ import annotations

import shutil
from pathlib import Path

from pupila.errors import PupilaError, join_names, nearest
from pupila_flows.registry.card import card_page, write_card
from pupila_flows.registry.manifest import CARD, CARD_PAGE
from pupila_flows.registry.portable import folders_of, portable_result
from pupila_flows.registry.provenance import chain_of
from pupila_flows.registry.release import section_in
from pupila_flows.report.past_runs import read_result
from pupila_flows.results import Entry, RunResult
from pupila_flows.workspace import Workspace


def export_model(workspace: Workspace, run: Path, step: str, destination: Path) -> list[Path]:
    """Copy the files of a step's model into a new folder, with its card; return their paths.

    Raises:
        PupilaError: the run has no model of that name, or it is no longer in the workspace, or the
            folder exists.
    """
    result = read_result(run)
    entry, digest = _entry(result, step)
    artifact = workspace.store.open(digest)
    if destination.exists() and (not destination.is_dir() or any(destination.iterdir())):
        raise PupilaError(f"{str(destination)!r} exists already: give the path of a new folder.")
    paths: list[Path] = []
    for name in artifact.record.files:
        copy = destination / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(artifact.path / name, copy)
        paths.append(copy)
    title = f"{result.name}: {entry.name}"
    published = portable_result(result, folders_of(result, run))
    artifacts = {entry.name: digest}
    card = write_card(
        title,
        None,
        published,
        section_in(result.recipe_text),
        chain_of(result, artifacts),
        artifacts,
    )
    for name, text in ((CARD, card), (CARD_PAGE, card_page(card, title))):
        (destination / name).write_text(text, encoding="utf-8")
        paths.append(destination / name)
    return paths


def _entry(result: RunResult, step: str) -> tuple[Entry, str]:
    """Return the entry of a name, and the digest of its artifact."""
    made = {entry.name: entry for entry in result.entries if entry.artifact}
    entry = made.get(step)
    if entry is None or entry.artifact is None:
        raise PupilaError(
            f"The run of {result.name} has no model {step!r}.{nearest(step, [*made])} It has "
            f"{join_names(made)}."
        )
    return entry, entry.artifact
