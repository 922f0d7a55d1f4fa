"""Writes `_headers`, as Netlify, Cloudflare Pages and `pupila serve` read it."""

from __future__ import annotations

import re
from pathlib import Path

from pupila import PupilaError

_POLICY = re.compile(r'http-equiv="Content-Security-Policy" content="([^"]+)"')
_OTHERS = {
    # memory is shared between threads only in a page that comes with these two
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


def write(site: Path) -> None:
    """Write the headers of every file of a site, with the policy that its page states itself.

    A policy in the page cannot say who may frame it; in a header it can.
    """
    policy = f"{_policy(site / 'index.html')}; frame-ancestors 'none'"
    lines = [f"  {name}: {value}\n" for name, value in _headers(policy).items()]
    (site / "_headers").write_text("/*\n" + "".join(lines))


def _headers(policy: str) -> dict[str, str]:
    return {"Content-Security-Policy": policy, **_OTHERS}


def _policy(page: Path) -> str:
    found = _POLICY.search(page.read_text())
    if not found:
        raise PupilaError(f"{str(page)!r} states no Content-Security-Policy: build the page anew.")
    return found[1]
