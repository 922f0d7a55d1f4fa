"""The last stage of a run: what passed its gate is published, in a task of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pupila.runtime import Progress
from pupila.store import write_atomically
from pupila_flows.execution.session import Work
from pupila_flows.recipe.publish import PublishSection
from pupila_flows.registry.addresses import default_address
from pupila_flows.registry.manifest import CARD, CARD_PAGE
from pupila_flows.registry.publishing import publish
from pupila_flows.registry.release import Withheld, release_of
from pupila_flows.registry.versions import folder_of, open_registry
from pupila_flows.results import Publication, RunResult
from pupila_flows.run.best_effort import telling
from pupila_flows.run.context import Run
from pupila_flows.workspace import Workspace


def publish_run(run: Run, path: Path) -> list[str]:
    """Publish the run whose `result.json` is at `path`, where the recipe says so.

    What became of it is added to that file; what went wrong is returned. The files of a version
    hold the result as it was before: it cannot tell of its own publication.
    """
    section = run.plan.recipe.publish
    if section is None:
        return []
    from prefect import get_run_logger

    from pupila_flows.run.prefect_tasks import outcome_of, reason_of, task_for

    address = run.plan.registry or default_address(run.place.root)
    work = _work(run.place, path, address, section)
    state = task_for(work.title)(work, [], return_state=True)
    if not state.is_completed():
        return [f"publish: {reason_of(state)}"]
    publication = Publication.model_validate(outcome_of(state).value["publication"])
    result = RunResult.model_validate_json(path.read_text())
    told = result.model_copy(update={"publication": publication})
    write_atomically(path, told.model_dump_json(indent=2).encode())
    if publication.outcome == "published":
        show(publication)
    if publication.outcome != "withheld":
        return []
    get_run_logger().warning(publication.reason)
    passed = result.gate is not None and result.gate.verdict == "pass"
    return [f"publish: {publication.reason}"] if passed else []


def _work(place: Workspace, path: Path, address: str, section: PublishSection) -> Work:
    return Work(
        title="publish",
        target=publish_result,
        identity=[str(path)],
        arguments={
            "workspace": str(place.root),
            "result": str(path),
            "address": address,
            "section": section.model_dump(mode="json"),
        },
    )


def publish_result(
    *, progress: Progress, workspace: str, result: str, address: str, section: dict[str, Any]
) -> dict[str, Any]:
    """Publish a run from its result file, in a process of its own: `{"publication": …}`."""
    path, store = Path(result), Workspace.at(workspace).store
    chosen = PublishSection.model_validate(section)
    run = RunResult.model_validate_json(path.read_text())
    progress(0, 1, "publishing")
    try:
        publication = publish(open_registry(address), release_of(run, path.parent, chosen, store))
    except Withheld as reason:
        publication = Publication(
            registry=address,
            name=chosen.name or run.name,
            outcome="withheld",
            version=None,
            reason=str(reason),
        )
    progress(1, 1, publication.reason)
    return {"publication": publication.model_dump(mode="json")}


def show(publication: Publication) -> None:
    """Show the card of a new version in the Prefect UI; what is published needs no server."""
    with telling(publication.reason):
        _show(publication)


def _show(publication: Publication) -> None:
    from prefect.artifacts import create_link_artifact, create_markdown_artifact

    if publication.version is None:
        return
    registry = open_registry(publication.registry)
    card = registry.storage.read(f"{folder_of(publication.name, publication.version)}/{CARD}")
    create_markdown_artifact((card or b"").decode(), key=f"{publication.name}-card")
    link = f"{registry.place(publication.name, publication.version)}/{CARD_PAGE}"
    local = Path(link)
    title = f"Version {publication.version}"
    create_link_artifact(
        local.as_uri() if local.is_absolute() else link, title, key=f"{publication.name}-version"
    )
