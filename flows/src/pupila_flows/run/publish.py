"""The last stage of a run: publishes the artifacts that passed the gate."""

from __future__ import annotations

from pathlib import Path

from pupila.store import write_atomically
from pupila_flows.jobs.publish import Publish
from pupila_flows.registry.addresses import default_address
from pupila_flows.results import RunResult
from pupila_flows.run.context import Run
from pupila_flows.run.prefect_artifacts import show_card


def publish_run(run: Run, result: RunResult, path: Path) -> tuple[RunResult, list[str]]:
    """Publish the run if its recipe says so; `path` is the `result.json` of the run.

    Return the result with the publication added, and a list of errors. The publication is also
    written to the file `path`, but not to the copy of this file in the published version.
    """
    section = run.plan.recipe.publish
    if section is None:
        return result, []
    address = run.plan.registry or default_address(run.workspace.root)
    outcome = run.orchestrator.do(Publish.of(run.workspace, path, address, section))
    if not outcome.made:
        return result, [f"publish: {outcome.reason}"]
    publication = outcome.result.value
    complete = result.model_copy(update={"publication": publication})
    write_atomically(path, complete.model_dump_json(indent=2).encode())
    if publication.outcome == "published":
        show_card(run.orchestrator, publication, address)
    if publication.outcome == "withheld":
        run.orchestrator.log.warning(publication.reason)
    return complete, []
