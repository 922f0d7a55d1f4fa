"""Prefect artifacts of a run: its verdict, its figures, and links to its pages.

Tables are written as Markdown artifacts too. Prefect also has table artifacts, but it shows a table
artifact on two pages: one page reads the cells as Markdown, the other page as plain text. No way of
escaping the cells suits both pages.
"""

from __future__ import annotations

from pathlib import Path

from pupila_flows.markdown import code
from pupila_flows.registry.manifest import CARD, CARD_PAGE
from pupila_flows.registry.versions import folder_of, open_registry
from pupila_flows.report.past_runs import METRICS_NAME, REPORT_NAME
from pupila_flows.report.verdict import metrics_markdown, verdict_markdown
from pupila_flows.results import Publication, RunResult
from pupila_flows.run.best_effort import best_effort
from pupila_flows.run.context import Run
from pupila_flows.run.orchestrator import Orchestrator
from pupila_flows.served import address_of
from pupila_flows.workspace import Workspace


def show_results(orchestrator: Orchestrator, result: RunResult) -> None:
    """Show a table of every artifact's figures in Prefect."""
    with best_effort("the results"):
        orchestrator.show(
            metrics_markdown(result), f"{result.name}-results", "The figures of every model."
        )


def show_verdict(run: Run, result: RunResult, path: Path) -> None:
    """Show in Prefect the verdict of a run, and links to the run's pages.

    `path` is the `result.json` of the run.
    """
    with best_effort("the verdict"):
        text = verdict_markdown(result, path.parent)
        pages = [_link(run.workspace, *page) for page in _pages(result, path.parent)]
        parts = [text, "### Pages", "\n".join(f"* {page}" for page in pages)]
        title = text.partition("\n")[0].removeprefix("## ")
        run.orchestrator.show("\n\n".join(parts), f"{result.name}-verdict", title)


def show_data_docs(run: Run, page: Path) -> None:
    """Show in Prefect a link to the Data Docs of a recipe's data.

    If the data is refused, the run has no other page.
    """
    with best_effort("the link to the Data Docs"):
        run.orchestrator.show(
            _link(run.workspace, "Data Docs", page),
            f"{run.plan.recipe.name}-data-docs",
            "What was found in the data.",
        )


def show_card(orchestrator: Orchestrator, publication: Publication, address: str) -> None:
    """Show in Prefect the card of a version just published to the registry at `address`."""
    if publication.version is None:
        return
    with best_effort(publication.reason):
        folder = folder_of(publication.name, publication.version)
        card = open_registry(address).storage.read(f"{folder}/{CARD}")
        orchestrator.show(
            (card or b"").decode(),
            f"{publication.name}-card",
            f"The card of version {publication.version}.",
        )


def _pages(result: RunResult, folder: Path) -> list[tuple[str, Path]]:
    pages = [("Report", folder / REPORT_NAME)]
    if result.sweep:
        pages.append(("Table of the sweep", folder / METRICS_NAME))
    if result.data.data_docs:
        pages.append(("Data Docs", Path(result.data.data_docs)))
    publication = result.publication
    if publication and publication.version is not None:
        version_folder = folder_of(publication.name, publication.version)
        pages.append(
            (
                f"Card of version {publication.version}",
                Path(publication.registry) / version_folder / CARD_PAGE,
            )
        )
    return [(title, file) for title, file in pages if file.exists()]


def _link(workspace: Workspace, title: str, file: Path) -> str:
    """Return a link to a file if a server serves it; otherwise its path, to be opened by hand.

    Browsers do not follow `file:` links on a page from a server.
    """
    address = address_of(workspace.root, file)
    return f"[{title}]({address})" if address else f"{title}: {code(str(file))}"
