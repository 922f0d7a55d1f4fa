"""Writes `_headers`, a file of HTTP headers for Netlify, Cloudflare Pages and `pupila serve`."""

from __future__ import annotations

import re
from pathlib import Path

from pupila import PupilaError

_POLICY = re.compile(r'http-equiv="Content-Security-Policy" content="([^"]+)"')
_OTHERS = {
    # browsers allow threads with shared memory only with these two
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


def write(site: Path) -> None:
    """Write the headers of the site in the folder `site`, with its page's Content-Security-Policy.

    The page states the policy itself, but only a header can say which sites may frame the page.

    Raises:
        PupilaError: the page has no Content-Security-Policy.
    """
    policy = f"{_policy(site / 'index.html')}; frame-ancestors 'none'"
    lines = [f"  {name}: {value}\n" for name, value in _headers(policy).items()]
    (site / "_headers").write_text("/*\n" + "".join(lines))


def _headers(policy: str) -> dict[str, str]:
    return {"Content-Security-Policy": policy, **_OTHERS}


def _policy(page: Path) -> str:
    policy = _POLICY.search(page.read_text())
    if not policy:
        raise PupilaError(f"{str(page)!r} has no Content-Security-Policy: build the page again.")
    return policy[1]
