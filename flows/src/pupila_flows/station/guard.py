"""Access control for a server: an ASGI application wrapped around another one.

Prefect reads a request without a Content-Type as JSON, and ignores the request's Host header. So a
page of another site could start programs through the user's browser: by a blind POST, or by a
domain that resolves to this machine (DNS rebinding). The guard lets a request pass under three
conditions:

* The Host header is one of the server's names.
* The Origin header, if there is one, matches the Host header.
* The client has the password: as Basic authentication, as a cookie, or in the first message of a
  websocket, as Prefect's clients send it.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
from binascii import Error as NotBase64
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pupila_flows.station import login

_HEALTH = "/api/health"
_MANIFESTS = ("/ico/site.webmanifest", "/v2/ico/site.webmanifest")
"""Browsers fetch a manifest without cookies; it names Prefect and its icons."""
_FORM_BYTES = 4096
_PATIENCE_SECONDS = 10.0
_POLICY = (
    # Prefect's UI sets styles from scripts, generates code for its graphs (PixiJS), and contacts
    # an analytics host in spite of its setting
    "default-src 'self'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # not `no-referrer`: browsers would send `Origin: null` with our own form
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True)
class Guard:
    """Passes a request on to `app` only if the request has the password `auth` (`user:password`).

    `hosts` are the names under which the server is reached, in lower case and without a port.
    `urls` are the addresses (scheme, host and port) of proxies that lead to the server.
    """

    app: ASGIApp
    auth: str
    port: int
    hosts: frozenset[str]
    urls: frozenset[str] = frozenset()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle an ASGI scope: http, websocket or lifespan."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        request = HTTPConnection(scope)
        if refused := self._refuse_strangers(request):
            await _refuse(scope, receive, send, refused)
        elif scope["type"] == "http" and scope["path"] == login.PATH:
            answer = await self._log_in(Request(scope, receive))
            await answer(scope, receive, _with_headers(send))
        elif self._has_password(request) or _is_open(scope):
            await self.app(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await self._authenticate_websocket(scope, receive, send)
        else:
            await _ask_for_password(Request(scope))(scope, receive, _with_headers(send))

    def _refuse_strangers(self, request: HTTPConnection) -> Response | None:
        """Return the refusal of requests from pages of other sites, or with a foreign Host."""
        hosts, origins = request.headers.getlist("host"), request.headers.getlist("origin")
        if len(hosts) != 1 or _name(hosts[0]) not in self.hosts | self._proxied:
            return PlainTextResponse(
                f"This station does not answer to the name {' '.join(hosts)!r}: start it with "
                "--url and the address at which it is to be reached.\n",
                403,
            )
        if len(origins) > 1 or not all(self._is_own(origin, hosts[0]) for origin in origins):
            return PlainTextResponse(
                f"Pages of {' '.join(origins)!r} may not talk to this station: start it with "
                "--url and its address, if that is a proxy of yours.\n",
                403,
            )
        if _is_cross_site(request):
            return PlainTextResponse("Pages of other sites may not talk to this station.\n", 403)
        return None

    @property
    def _proxied(self) -> set[str]:
        return {urlsplit(url).hostname or "" for url in self.urls}

    def _is_own(self, origin: str, host: str) -> bool:
        """Return whether an Origin is that of this server."""
        if origin in self.urls:
            return True
        return _name(host) not in self._proxied and origin == f"http://{host}"

    def _has_password(self, request: HTTPConnection) -> bool:
        cookie = request.cookies.get(self._cookie, "").encode()
        by_cookie = hmac.compare_digest(cookie, login.cookie_value(self.auth).encode())
        scheme, _, written = request.headers.get("authorization", "").partition(" ")
        try:
            given = base64.b64decode(written) if scheme.lower() == "basic" else b""
        except (NotBase64, ValueError):
            given = b""
        return hmac.compare_digest(given, self.auth.encode()) or by_cookie

    @property
    def _cookie(self) -> str:
        """Name of the cookie, with the port: browsers share cookies among a host's ports."""
        return f"pupila-{self.port}"

    async def _authenticate_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check the password in a client's first message, before `app` sees the connection."""
        if "prefect" not in scope["subprotocols"]:
            await _refuse(scope, receive, send, JSONResponse(None))
            return
        connected = await receive()
        await send({"type": "websocket.accept", "subprotocol": "prefect"})
        try:
            first = await asyncio.wait_for(receive(), _PATIENCE_SECONDS)
        except TimeoutError:
            first = None
        if first and first["type"] == "websocket.disconnect":
            return
        if not (first and _has_token(first, self.auth)):
            await send({"type": "websocket.close", "code": 1008, "reason": "Unauthorized"})
            return
        waiting = [first, connected]

        async def replay() -> Message:
            return waiting.pop() if waiting else await receive()

        async def unless_accepted(message: Message) -> None:
            if message["type"] != "websocket.accept":
                await send(message)

        await self.app({**scope, "extensions": {}}, replay, unless_accepted)

    async def _log_in(self, request: Request) -> Response:
        """Answer the login form, or the printed link."""
        if request.method == "POST":
            given = await _form(request)
            target, said = given.get("next", "/"), login.WRONG
            right = login.is_password(given.get("password", ""), self.auth)
        else:
            target, token = "/", request.query_params.get("token", "")
            right = hmac.compare_digest(token.encode(), login.link_token(self.auth).encode())
            said = login.OLD_LINK if token else ""
        if not right:
            return login.page(target, said)
        return login.log_in(target, self._cookie, self.auth, secure=self._is_behind_tls(request))

    def _is_behind_tls(self, request: Request) -> bool:
        """Return whether the request came through a proxy with TLS."""
        host = request.headers["host"]
        return f"https://{host}" in self.urls


def _is_open(scope: Scope) -> bool:
    """Return whether a request needs no password: the health check and web manifests."""
    return (
        scope["type"] == "http"
        and scope["method"] in ("GET", "HEAD")
        and scope["path"] in (_HEALTH, *_MANIFESTS)
    )


def _ask_for_password(request: Request) -> Response:
    """Return the login page to a browser, and an error to other clients."""
    if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        query = f"?{request.url.query}" if request.url.query else ""
        return login.page(request.scope["path"] + query)
    return JSONResponse({"exception_message": "Unauthorized"}, 401)


def _is_cross_site(request: HTTPConnection) -> bool:
    """Return whether another site's page sent the request, other than by a link to us."""
    if request.headers.get("sec-fetch-site", "none") in ("none", "same-origin"):
        return False
    link = (
        request.headers.get("sec-fetch-mode") == "navigate"
        and request.headers.get("sec-fetch-dest") == "document"
        and request.scope.get("method") == "GET"
    )
    return not link


def _name(host: str) -> str:
    """Return the name in a Host header, without its port; empty if there is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _has_token(message: Message, auth: str) -> bool:
    """Return whether a websocket's first message has the password, as Prefect's clients send it."""
    try:
        said: Any = json.loads(message.get("text") or message.get("bytes") or b"null")
        kind, token = said["type"], said["token"]
    except (ValueError, TypeError, KeyError):
        return False
    return kind == "auth" and hmac.compare_digest(str(token).encode(), auth.encode())


async def _form(request: Request) -> dict[str, str]:
    """Return the fields of a form; none if it is too large or too slow."""
    body = b""
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            async for part in request.stream():
                body += part
                if len(body) > _FORM_BYTES:
                    return {}
    except TimeoutError:
        return {}
    return {name: values[0] for name, values in parse_qs(body.decode(errors="replace")).items()}


async def _refuse(scope: Scope, receive: Receive, send: Send, answer: Response) -> None:
    """Refuse a request with an answer, or a websocket by closing it."""
    if scope["type"] == "http":
        await answer(scope, receive, _with_headers(send))
    else:
        await send({"type": "websocket.close", "code": 1008, "reason": "Unauthorized"})


def _with_headers(send: Send) -> Send:
    """Add security headers to an answer, except those it already has."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sent
