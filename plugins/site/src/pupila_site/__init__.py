"""Makes a static site that runs models on the visitor's own device."""

from __future__ import annotations

from collections.abc import Iterable

from pupila import Exporter, hookimpl
from pupila_site.config import Site


@hookimpl
def pupila_exporters() -> Iterable[Exporter]:
    """Yield the exporter `site`."""
    yield Exporter(
        name="site",
        summary="Static site that runs models on the visitor's own device, offline too",
        config=Site,
        accepts=frozenset({"tflite", "chain"}),
        produces="site",
        tasks=frozenset({"classification", "localization"}),
        max_inputs=None,
        evaluated=False,
        shows_metrics=True,
        environment=_page,
        implementation="pupila_site.export:export",
    )


def _page() -> str:
    from pupila_site.page import PAGES

    return PAGES.version
