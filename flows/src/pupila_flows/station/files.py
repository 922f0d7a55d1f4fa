"""Serves a workspace's reports, Data Docs and cards beside Prefect's UI."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response

from pupila_flows.served import PREFIX, TYPES, served_file

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'unsafe-inline'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        # no scripts and no forms; same origin, so that links send the cookie
        "sandbox allow-same-origin allow-downloads allow-popups allow-popups-to-escape-sandbox",
    )
)
"""The pages share an origin with an API that can start programs, so they may not run scripts."""
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-cache",
}


class Files:
    """An ASGI application that serves files below `/pupila/` and passes on all other requests.

    The password is checked by `Guard`, which wraps this application.
    """

    def __init__(self, workspace: Path, app: ASGIApp) -> None:
        self._workspace = workspace
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(PREFIX):
            answer = await self._answer(Request(scope))
            await answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            return _refused(405, "Only GET and HEAD are answered here.", {"Allow": "GET, HEAD"})
        path = str(request.scope["path"]).removeprefix(PREFIX)
        file = await run_in_threadpool(served_file, self._workspace, path)
        if file is None:
            return _refused(404, "This workspace does not have such a page, or not any more.")
        return FileResponse(file, headers=_HEADERS, media_type=TYPES[file.suffix])


def _refused(status: int, why: str, more: dict[str, str] | None = None) -> Response:
    return PlainTextResponse(f"{why}\n", status, _HEADERS | (more or {}))
