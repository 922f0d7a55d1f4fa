"""Makes Data Docs, the HTML pages of Great Expectations, work without a network.

Great Expectations' pages load Bootstrap, jQuery, Vega and Font Awesome from public servers, and the
index page is empty without scripts. This module removes scripts and remote files, adds the
stylesheet `docs.css` for the remaining CSS classes, and writes another index page.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from jinja2 import Environment, PackageLoader, select_autoescape

from pupila_flows.data.validation.histograms import Histogram
from pupila_flows.data.validation.pictures import FoundImage
from pupila_flows.printable import printable
from pupila_flows.results import Check

_SCRIPT = re.compile(r"<script\b.*?</script>", re.DOTALL | re.IGNORECASE)
_LINKED_FILE = re.compile(r"<link\b[^>]*>", re.IGNORECASE)
_REMOTE_IMAGE = re.compile(r"<img\b[^>]*\bsrc=[\"']?(?:https?:)?//[^>]*>", re.IGNORECASE)
_OWN_STYLE = re.compile(r"<style>.*?</style>", re.DOTALL | re.IGNORECASE)
_POLICY = (
    '<meta http-equiv="Content-Security-Policy" '
    "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">"
)
"""Tag for the head of each page that forbids scripts and anything from other servers."""
_HEAD = re.compile(r"<head\b[^>]*>", re.IGNORECASE)
_BUTTON = re.compile(r'<label class="btn\b.*?</label>', re.DOTALL)
"""Matches the buttons that filter the checks, which need a script."""
_FOOTER = re.compile(r"<footer\b.*?</footer>", re.DOTALL | re.IGNORECASE)


def make_offline(docs_folder: Path) -> None:
    """Rewrite every page so that a browser loads nothing from outside `docs_folder`."""
    style = f"<style>{_style()}</style>"
    for page in docs_folder.rglob("*.html"):
        html = page.read_text(encoding="utf-8")
        for pattern in (_SCRIPT, _LINKED_FILE, _OWN_STYLE, _BUTTON, _FOOTER):
            html = pattern.sub("", html)
        html = _REMOTE_IMAGE.sub("Data Docs", html)
        html = _HEAD.sub(lambda head: head[0] + _POLICY, html, count=1)
        html = printable(html.replace("</head>", f"{style}</head>"))
        page.write_text(html, encoding="utf-8")
    shutil.rmtree(docs_folder / "static", ignore_errors=True)


def write_index(
    docs_folder: Path,
    source: str,
    checks: Sequence[Check],
    pictures: Mapping[str, Sequence[FoundImage]],
    histograms: Sequence[Histogram],
) -> Path:
    """Write the index page, which lists the checks and links to Great Expectations' pages.

    `pictures` are the images that each check found, by its name. They are inside the page, and all
    links are relative: the folder may be moved.
    """
    environment = Environment(
        loader=PackageLoader("pupila_flows.data.validation", "."),
        autoescape=select_autoescape(),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    details = {
        page.relative_to(docs_folder).parts[1]: page.relative_to(docs_folder).as_posix()
        for page in sorted(docs_folder.glob("validations/*/**/*.html"))
    }
    index = docs_folder / "index.html"
    page = environment.get_template("index.html").render(
        source=source,
        checks=checks,
        pictures=pictures,
        histograms=histograms,
        details=details,
        style=_style(),
        policy=_POLICY,
    )
    index.write_text(printable(page), encoding="utf-8")
    return index


def _style() -> str:
    return resources.files("pupila_flows.data.validation").joinpath("docs.css").read_text("utf-8")
