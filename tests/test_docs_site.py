"""The site of the docs: every page can be reached, every link leads somewhere, offline too."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
CONFIG = yaml.safe_load((ROOT / "mkdocs.yml").read_text())


def pages_in(nav: str | list[Any] | dict[str, Any]) -> Iterator[str]:
    """Yield the pages of a navigation."""
    if isinstance(nav, str):
        yield nav
        return
    for item in nav.values() if isinstance(nav, dict) else nav:
        yield from pages_in(item)


def test_every_page_of_the_docs_is_in_the_navigation_once():
    pages = [page for page in pages_in(CONFIG["nav"]) if (DOCS / page).is_file()]
    assert sorted(pages) == sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


def build(root: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """Build the site of a checkout as `make docs` does."""
    if find_spec("mkdocs") is None:
        pytest.skip("needs MkDocs: `make docs` installs it")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", site]
    return subprocess.run(command, cwd=root, capture_output=True, text=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the site."""
    folder = tmp_path_factory.mktemp("site")
    built = build(ROOT, folder)
    assert built.returncode == 0, built.stderr
    return folder


@pytest.mark.slow
def test_links_to_the_rest_of_the_repository_lead_to_pages_of_the_site(site: Path):
    index = (site / "index.html").read_text()
    assert 'href="repository/ARCHITECTURE.html#glossary"' in index
    assert (site / "repository" / "ARCHITECTURE.html").is_file()
    assert 'href="../cluster.html"' in (site / "repository" / "SECURITY.html").read_text()


@pytest.mark.slow
def test_the_site_loads_nothing_from_elsewhere(site: Path):
    pages = list(site.rglob("*.html"))
    assert pages
    tags = re.compile(r"<(?:script|img|iframe|link)\b[^>]*>")
    loaded = [tag for page in pages for tag in tags.findall(page.read_text())]
    assert [tag for tag in loaded if "//" in tag] == []


@pytest.mark.parametrize(
    ("link", "problem"),
    [
        ("../SECURITY.md", None),
        ("../SECURITY.md#tips", None),
        ("../SECURITY.md#elsewhere", "does not contain an anchor '#elsewhere'"),
        ("../LICENCE.md", "'../LICENCE.md', but the target is not found"),
        ("elsewhere.md", "'elsewhere.md', but the target is not found"),
    ],
)
def test_a_link_that_leads_nowhere_ends_the_build(tmp_path: Path, link: str, problem: str | None):
    (tmp_path / "docs").mkdir()
    shutil.copy(DOCS / "site_pages.py", tmp_path / "docs")
    start = f"# Start\n\nRead [this]({link}), or [how it is built](../ARCHITECTURE.md).\n"
    (tmp_path / "docs" / "README.md").write_text(start)
    (tmp_path / "SECURITY.md").write_text("# Security\n\n## Tips\n")
    architecture = "# Form\n\n## Glossary\n\nwords\n\n## Rest\n\n[Security](SECURITY.md)\n"
    (tmp_path / "ARCHITECTURE.md").write_text(architecture)
    made = ["glossary.md", "repository/SECURITY.md", "repository/ARCHITECTURE.md"]
    config = CONFIG | {"nav": ["README.md", *made], "plugins": []}
    (tmp_path / "mkdocs.yml").write_text(yaml.safe_dump(config))
    built = build(tmp_path, tmp_path / "site")
    problems = [line for line in built.stderr.splitlines() if line.startswith("WARNING")]
    assert built.returncode == (1 if problem else 0), built.stderr
    assert len(problems) == bool(problem) and all(str(problem) in line for line in problems)
