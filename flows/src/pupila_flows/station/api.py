"""A small client for a Prefect server; the client works without importing Prefect."""

from __future__ import annotations

import base64
import json
import urllib.request
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from pupila_flows.station.loopback import is_loopback

_SECONDS = 30.0


class Api:
    """Client of a Prefect server's JSON API.

    The methods raise `OSError` if the server does not answer, refuses, or breaks off.
    """

    def __init__(self, url: str, auth: str | None = None) -> None:
        self.url = url
        self._headers = {"Content-Type": "application/json"}
        if auth:
            secret = base64.b64encode(auth.encode()).decode()
            self._headers["Authorization"] = f"Basic {secret}"
        direct = [urllib.request.ProxyHandler({})] if _is_of_this_machine(url) else []
        self._opener = urllib.request.build_opener(*direct)

    def get(self, path: str) -> Any:
        return self._ask("GET", path, None)

    def post(self, path: str, value: Any) -> Any:
        return self._ask("POST", path, value)

    def patch(self, path: str, value: Any) -> Any:
        return self._ask("PATCH", path, value)

    def answers(self) -> bool:
        """Return whether the server answers and is healthy."""
        try:
            return self.get("/health") is True
        except OSError:
            return False

    def _ask(self, method: str, path: str, value: Any) -> Any:
        body = None if value is None else json.dumps(value).encode()
        try:
            request = urllib.request.Request(  # noqa: S310 - the address is our own server's
                self.url + path, data=body, headers=self._headers, method=method
            )
            with self._opener.open(request, timeout=_SECONDS) as answer:
                text = answer.read()
            return json.loads(text) if text else None
        except (HTTPException, ValueError) as error:
            raise OSError(f"{type(error).__name__}: {error}") from error


def _is_of_this_machine(url: str) -> bool:
    try:
        return is_loopback(urlsplit(url).hostname or "")
    except ValueError:  # an invalid address; the request will say so
        return False
