"""Makes what shows the figures of models, such as a site: once these are judged."""

from __future__ import annotations

from collections.abc import Sequence

from pupila_flows.jobs.run_step import RunStep
from pupila_flows.plan.expand import Node
from pupila_flows.results import Entry
from pupila_flows.run.context import Run
from pupila_flows.run.evaluate import judged_entry
from pupila_flows.run.prefect_tasks import States, result_of, submit_job

_NOT_MADE = "Not made: what it builds on was not made."


def make_pages(run: Run, entries: Sequence[Entry], states: States) -> list[Entry]:
    """Make each page, and complete its entry; `states` are those of all that was made before."""
    judged = {entry.name: entry for entry in entries}
    made = {node.name: _made(run, node, judged, states) for node in run.nodes if node.shows_metrics}
    return [made.get(entry.name, entry) for entry in entries]


def _made(run: Run, node: Node, judged: dict[str, Entry], states: States) -> Entry:
    entry = judged[node.name]
    if not all(states[name].is_completed() for name in node.inputs):
        return entry.model_copy(update={"error": _NOT_MADE})
    found = [judged[name].evaluation for name in node.inputs]
    figures = [each.metrics if each else None for each in found]
    inputs = [result_of(states[name]).value for name in node.inputs]
    job = RunStep.of(run.workspace, node, run.dataset).on(inputs, figures)
    future = submit_job(job, retries=node.retries)
    future.wait()
    return judged_entry(run, entry, future.state, judge=False)
