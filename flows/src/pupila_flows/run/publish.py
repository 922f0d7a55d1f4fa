"""The last stage of a run: publishes the artifacts that passed the gate."""

from __future__ import annotations

from pathlib import Path

from prefect import get_run_logger

from pupila.store import write_atomically
from pupila_flows.jobs.publish import Publish
from pupila_flows.registry.addresses import default_address
from pupila_flows.results import RunResult
from pupila_flows.run.context import Run
from pupila_flows.run.prefect_artifacts import show_card
from pupila_flows.run.prefect_tasks import reason_of, result_of, run_job


def publish_run(run: Run, result: RunResult, path: Path) -> tuple[RunResult, list[str]]:
    """Publish the run if its recipe says so; `path` is the `result.json` of the run.

    Return the result with the publication added, and a list of errors. The publication is also
    written to the file `path`, but not to the copy of this file in the published version.
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
        show_card(publication, address)
    if publication.outcome == "withheld":
        get_run_logger().warning(publication.reason)
    return complete, []
