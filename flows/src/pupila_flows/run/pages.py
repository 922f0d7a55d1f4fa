"""Makes pages: artifacts, such as a site, that show the figures of models."""

from __future__ import annotations

from collections.abc import Sequence

from pupila_flows.jobs.run_step import RunStep
from pupila_flows.plan.expand import Node
from pupila_flows.results import Entry
from pupila_flows.run.context import Run
from pupila_flows.run.evaluate import evaluate_entry
from pupila_flows.run.prefect_tasks import States, result_of, submit_job

_NOT_MADE = "Not made: what it builds on was not made."


def make_pages(run: Run, entries: Sequence[Entry], states: States) -> list[Entry]:
    """Make each page, and return all entries; the entries of pages now have their results.

    `states` maps each teacher, and each node that is not a page, to the state of its task.
    """
    by_name = {entry.name: entry for entry in entries}
    made = {
        node.name: _make(run, node, by_name, states) for node in run.nodes if node.shows_metrics
    }
    return [made.get(entry.name, entry) for entry in entries]


def _make(run: Run, node: Node, entries: dict[str, Entry], states: States) -> Entry:
    entry = entries[node.name]
    if not all(states[name].is_completed() for name in node.inputs):
        return entry.model_copy(update={"error": _NOT_MADE})
    evaluations = [entries[name].evaluation for name in node.inputs]
    metrics = [evaluation.metrics if evaluation else None for evaluation in evaluations]
    inputs = [result_of(states[name]).value for name in node.inputs]
    job = RunStep.of(run.workspace, node, run.dataset).on(inputs, metrics)
    future = submit_job(job, retries=node.retries)
    future.wait()
    return evaluate_entry(run, entry, future.state, evaluate=False)
