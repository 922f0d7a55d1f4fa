"""The pages of the browser runtimes: their sources are in `js/`, and Vite builds them."""

from __future__ import annotations

from pathlib import Path

from pupila.web.npm import Packages
from pupila.web.pages import LITERT_LOG, Pages

SOURCES = Path(__file__).parent / "js"
PAGES = Pages(
    Packages(SOURCES, title="the browser runtimes", command="python -m pupila_web.install"),
    shared=(LITERT_LOG,),
)
