"""Pages of the site that are not files of `docs/`: a hook of MkDocs, named in `mkdocs.yml`.

Pages of `docs/` link to other files of the repository by relative paths, as a code host shows them.
The site has such files as pages below `repository/`, and the links lead there. The glossary is a
section of `ARCHITECTURE.md`. A page `api/MODULE.md` in the navigation is made of the docstrings of
the module's public names.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
OUTSIDE = "repository/"
LINK = re.compile(r"(\]\()([\w./-]+)")
"""The start of a link to a relative path, up to an anchor: `](../SECURITY.md`."""


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages that are made."""
    made = {"glossary.md": _glossary()}
    for uri in _texts(config.nav):
        if uri.startswith("api/"):
            module = uri.removeprefix("api/").removesuffix(".md")
            made[uri] = f"---\ntitle: {module}\n---\n\n::: {module}\n"
    sources = [DOCS / file.src_uri for file in files.documentation_pages()]
    while sources:
        source = sources.pop()
        for path in _linked(source) if source.suffix == ".md" else ():
            if not path.is_relative_to(DOCS) and _uri(path) not in made:
                made[_uri(path)] = _as_page(path)
                sources.append(path)
    for uri, content in made.items():
        files.append(File.generated(config, uri, content=content))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links to files outside `docs/` lead to their pages."""
    uri = page.file.src_uri
    source = ROOT / uri.removeprefix(OUTSIDE) if uri.startswith(OUTSIDE) else DOCS / uri

    def lead(match: re.Match[str]) -> str:
        path = (source.parent / match[2]).resolve()
        if not path.is_file() or not path.is_relative_to(ROOT):
            return match[0]
        return match[1] + posixpath.relpath(_uri(path), posixpath.dirname(uri))

    return LINK.sub(lead, markdown)


def _glossary() -> str:
    """Return the section of `ARCHITECTURE.md` as a page."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    _, after = text.split("\n## Glossary\n")
    section, _ = after.split("\n## ", 1)
    return f"# Glossary\n{section}\n"


def _texts(nav: Any) -> Iterator[str]:
    """Yield the pages in the navigation, which is made of lists and dictionaries."""
    if isinstance(nav, str):
        yield nav
    for item in nav.values() if isinstance(nav, dict) else nav if isinstance(nav, list) else ():
        yield from _texts(item)


def _linked(source: Path) -> Iterator[Path]:
    """Yield the files of the repository that a page links to."""
    for _, target in LINK.findall(source.read_text(encoding="utf-8")):
        path = (source.parent / target).resolve()
        if path.is_file() and path.is_relative_to(ROOT):
            yield path


def _uri(path: Path) -> str:
    """Return where in the site a file of the repository is."""
    if path.is_relative_to(DOCS):
        return path.relative_to(DOCS).as_posix()
    return f"{OUTSIDE}{path.relative_to(ROOT).as_posix()}{'' if path.suffix == '.md' else '.md'}"


def _as_page(path: Path) -> str:
    """Return Markdown as it is, a notebook as its cells, and any other text as a block of code."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        return "\n\n".join(map(_cell, json.loads(text)["cells"])) + "\n"
    if path.suffix == ".md":
        return text
    name = path.relative_to(ROOT).as_posix()
    return f"# {name}\n\n~~~~{path.suffix.removeprefix('.')}\n{text}~~~~\n"


def _cell(cell: dict[str, Any]) -> str:
    source = "".join(cell["source"])
    return source if cell["cell_type"] == "markdown" else f"~~~~python\n{source}\n~~~~"
