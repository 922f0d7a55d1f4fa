"""The page that all sites share: its sources are in `app/`, and Vite builds them.

An exported site consists of this page, the models, and the data about the models.
"""

from __future__ import annotations

from pathlib import Path

from pupila.web.npm import Packages
from pupila.web.pages import LITERT_LOG, Pages

SOURCES = Path(__file__).parent / "app"
PAGES = Pages(
    Packages(SOURCES, title="the site", command="python -m pupila_site.install"),
    checks=(
        ("typescript", "bin/tsc"),
        ("typescript", "bin/tsc", "--project", "tsconfig.workers.json"),
    ),
    shared=(LITERT_LOG,),
)
