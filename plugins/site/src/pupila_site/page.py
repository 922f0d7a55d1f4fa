"""The page: sources in `app/`, and what Vite builds from them, once, into the user's cache.

It lacks only the models and what is said of them.
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
