"""Whether people with a keyboard, a screen reader or weak eyes can use the site."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pupila.testing import barriers

pytestmark = pytest.mark.slow

skimage = pytest.importorskip("skimage")
CAT = Path(skimage.__file__).parent / "data" / "chelsea.png"


@pytest.mark.parametrize("width", [1400, 390])
def test_axe_finds_no_barrier_before_and_after_a_picture(
    opened: Callable[..., Any], served: Any, width: int
):
    page = opened(served.url, viewport={"width": width, "height": 900})
    assert barriers(page) == []
    page.set_input_files("#file", CAT)
    page.wait_for_selector(".verdict")
    page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true; })")
    assert barriers(page) == []
