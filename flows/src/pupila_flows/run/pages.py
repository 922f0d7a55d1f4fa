"""Makes pages: artifacts, such as a site, that show the figures of models."""

from __future__ import annotations

from collections.abc import Sequence

from pupila_flows.jobs.run_step import RunStep
from pupila_flows.plan.expand import Node
from pupila_flows.results import Entry
from pupila_flows.run.context import Run
from pupila_flows.run.evaluate import evaluate_entry
from pupila_flows.run.orchestrator import NOT_MADE, Outcomes


def make_pages(run: Run, entries: Sequence[Entry], outcomes: Outcomes) -> list[Entry]:
    """Make each page, and return all entries; the entries of pages now have their results.

    `outcomes` maps each teacher, and each node that is not a page, to the outcome of its job.
    """
    by_name = {entry.name: entry for entry in entries}
    made = {
        node.name: _make(run, node, by_name, outcomes) for node in run.nodes if node.shows_metrics
    }
    return [made.get(entry.name, entry) for entry in entries]


def _make(run: Run, node: Node, entries: dict[str, Entry], outcomes: Outcomes) -> Entry:
    entry = entries[node.name]
    if not all(outcomes[name].made for name in node.inputs):
        return entry.model_copy(update={"error": NOT_MADE})
    evaluations = [entries[name].evaluation for name in node.inputs]
    metrics = [evaluation.metrics if evaluation else None for evaluation in evaluations]
    inputs = [outcomes[name].result.value for name in node.inputs]
    job = RunStep.of(run.workspace, node, run.dataset).on(inputs, metrics)
    outcome = run.orchestrator.submit(job, retries=node.retries).wait()
    return evaluate_entry(run, entry, outcome, evaluate=False)
