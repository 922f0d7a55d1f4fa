"""The last stage of a run: what passed its gate is published, in a task of its own."""

from __future__ import annotations

from pathlib import Path

from prefect import get_run_logger
from prefect.artifacts import create_link_artifact, create_markdown_artifact

from pupila.store import write_atomically
from pupila_flows.jobs.publish import Publish
from pupila_flows.registry.addresses import default_address
from pupila_flows.registry.manifest import CARD, CARD_PAGE
from pupila_flows.registry.versions import folder_of, open_registry
from pupila_flows.results import Publication, RunResult
from pupila_flows.run.best_effort import best_effort
from pupila_flows.run.context import Run
from pupila_flows.run.prefect_tasks import reason_of, result_of, run_job


def publish_run(run: Run, result: RunResult, path: Path) -> tuple[RunResult, list[str]]:
    """Publish a run whose `result.json` is at `path`, where the recipe says so.

    Returns the result with what became of it, which is added to that file, and what went wrong. The
    files of a version hold the result as it was before: it cannot tell of its own publication.
    """
    section = run.plan.recipe.publish
    if section is None:
        return result, []
    address = run.plan.registry or default_address(run.workspace.root)
    state = run_job(Publish.of(run.workspace, path, address, section))
    if not state.is_completed():
        return result, [f"publish: {reason_of(state)}"]
    publication = result_of(state).value
    complete = result.model_copy(update={"publication": publication})
    write_atomically(path, complete.model_dump_json(indent=2).encode())
    if publication.outcome == "published":
        show(publication, address)
    if publication.outcome == "withheld":
        get_run_logger().warning(publication.reason)
    return complete, []


def show(publication: Publication, address: str) -> None:
    """Show the card of a new version in the Prefect UI; what is published needs no server."""
    with best_effort(publication.reason):
        _show(publication, address)


def _show(publication: Publication, address: str) -> None:
    if publication.version is None:
        return
    registry = open_registry(address)
    card = registry.storage.read(f"{folder_of(publication.name, publication.version)}/{CARD}")
    create_markdown_artifact((card or b"").decode(), key=f"{publication.name}-card")
    link = f"{registry.place(publication.name, publication.version)}/{CARD_PAGE}"
    local = Path(link)
    title = f"Version {publication.version}"
    create_link_artifact(
        local.as_uri() if local.is_absolute() else link, title, key=f"{publication.name}-version"
    )
