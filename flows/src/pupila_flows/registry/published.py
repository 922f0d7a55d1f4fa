"""Lists what is published in all registries that a workspace has published to."""

from __future__ import annotations

from pupila_flows.registry.addresses import default_address
from pupila_flows.registry.versions import open_registry
from pupila_flows.report.past_runs import read_results
from pupila_flows.workspace import Workspace


def list_published(workspace: Workspace, address: str | None = None) -> list[dict[str, str]]:
    """Return a row for each name with its current version, when, by whom, and in which registry.

    Without an `address`, these are the default registry and all that runs of the workspace have
    published to.

    Raises:
        PupilaError: a registry cannot be read.
    """
    rows: list[dict[str, str]] = []
    for registered in [address] if address else _addresses(workspace):
        registry = open_registry(registered)
        for name in registry.names():
            events = registry.events(name)
            if events:
                last = events[-1]
                rows.append(
                    {
                        "name": name,
                        "version": str(last.version),
                        "since": last.at,
                        "by": last.by,
                        "what": "override" if last.override else last.kind,
                        "registry": registry.storage.url,
                    }
                )
    return rows


def _addresses(workspace: Workspace) -> list[str]:
    """Return the default registry and those of past runs, each once."""
    published = [
        result.publication.registry
        for _, result in read_results(workspace)
        if result.publication and result.publication.outcome != "withheld"
    ]
    default = default_address(workspace.root)
    urls = {open_registry(known).storage.url: known for known in (default, *published)}
    return list(urls.values())
