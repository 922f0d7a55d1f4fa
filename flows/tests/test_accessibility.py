"""Whether people with a keyboard, a screen reader or weak eyes can read every page of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hostile_pages import write_workspace

from pupila.testing import barriers

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_workspace(tmp_path_factory.mktemp("read") / ".pupila")


# "details" are the pages of Great Expectations, which link theirs as they like
@pytest.mark.parametrize("width", [1400, 390])
@pytest.mark.parametrize("kind", ["report", "sweep", "card", "data docs"])
def test_axe_finds_no_barrier_in_a_page(
    kind: str, width: int, browser: Any, pages: dict[str, Path]
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto(pages[kind].as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true; })")
    assert barriers(page) == []
    page.close()
