"""Publishes a run that already finished, from its folder."""

from __future__ import annotations

from pathlib import Path

from pupila.errors import PupilaError
from pupila.store import write_atomically
from pupila_flows.recipe import env
from pupila_flows.recipe.publish import PublishSection
from pupila_flows.registry.addresses import default_address, resolve_address, without_password
from pupila_flows.registry.publishing import publish
from pupila_flows.registry.release import Withheld, release_of, section_in
from pupila_flows.registry.versions import open_registry
from pupila_flows.results import Publication, RunResult
from pupila_flows.workspace import Workspace


def publish_past(
    workspace: Workspace, run: Path, address: str | None, override: tuple[str, str] | None
) -> Publication:
    """Publish a finished run from its folder, and return the outcome.

    The registry is the one at `address`, by default the one in the run's recipe, or else the
    default registry. `override` is the name and the reason of a person who publishes regardless of
    the gate.

    The outcome is also written into the run's `result.json`, unless the run itself does not permit
    publication, for example because its gate failed.

    Raises:
        PupilaError: the run does not exist, its artifacts are not in the workspace, or the registry
            cannot be read or written.
    """
    file = run / "result.json"
    result = _read(file)
    section = section_in(result.recipe_text)
    given = resolve_address(address, Path.cwd()) if address else _registry_of(section, result)
    registry = open_registry(given or default_address(workspace.root))
    try:
        publication = publish(registry, release_of(result, run, section, workspace.store, override))
    except Withheld as reason:
        return Publication(
            registry=registry.storage.url,
            name=section.name or result.name,
            outcome="withheld",
            version=None,
            reason=str(reason),
        )
    published = result.model_copy(update={"publication": publication})
    write_atomically(file, published.model_dump_json(indent=2).encode())
    return publication


def _read(file: Path) -> RunResult:
    try:
        if not file.is_file():  # reading a FIFO would block
            raise FileNotFoundError(file)
        return RunResult.model_validate_json(file.read_text("utf-8"))
    except (OSError, ValueError):  # includes ValidationError
        raise PupilaError(
            f"No readable result of a run in {str(file)!r}: give the folder of a finished run, as "
            f"`pupila run` names it under `Figures`."
        ) from None


def _registry_of(section: PublishSection, result: RunResult) -> str | None:
    """Return the registry in the run's recipe, with environment variables expanded now."""
    if section.to is None:
        return None
    unset, expanded = env.unset(section.to), env.expand(section.to)
    if unset or not expanded.strip():
        lacks = f"{next(iter(unset))} is not set" if unset else "that expands to an empty text"
        raise PupilaError(
            f"The recipe of that run publishes to {without_password(section.to)!r}, and {lacks}: "
            f"set it, or name the registry with --registry."
        )
    return resolve_address(expanded, Path(result.recipe_path).parent)
