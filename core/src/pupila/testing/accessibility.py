"""Finds what keeps people from reading a page: axe-core's rules, run in the page."""

from __future__ import annotations

from typing import Any

import pytest

_WCAG = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


def barriers(page: Any) -> list[str]:
    """Return what axe-core finds in a page of Playwright: a rule and an element each.

    The rules are those of WCAG 2.0 to 2.2, levels A and AA, and axe's best practices. Skip the test
    if the package `axe-playwright-python` is not installed.
    """
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    results: dict[str, Any] = axe.Axe().run(page, options=_WCAG).response
    return [
        f"{rule['id']}: {node['html'][:200]} {node['failureSummary']}"
        for rule in results["violations"]
        for node in rule["nodes"]
    ]
