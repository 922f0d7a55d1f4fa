"""The few words that a station says to its server, without importing Prefect."""

from __future__ import annotations

import base64
import json
import urllib.request
from typing import Any

_SECONDS = 30.0


class Api:
    """A Prefect server's API; JSON goes there and comes back.

    Its methods raise `OSError` where the server does not answer, or refuses.
    """

    def __init__(self, url: str, auth: str | None = None) -> None:
        self.url = url
        self._headers = {"Content-Type": "application/json"}
        if auth:
            secret = base64.b64encode(auth.encode()).decode()
            self._headers["Authorization"] = f"Basic {secret}"

    def get(self, path: str) -> Any:
        return self._ask("GET", path, None)

    def post(self, path: str, value: Any) -> Any:
        return self._ask("POST", path, value)

    def patch(self, path: str, value: Any) -> Any:
        return self._ask("PATCH", path, value)

    def answers(self) -> bool:
        """Tell whether the server is up."""
        try:
            return self.get("/health") is True
        except (OSError, ValueError):
            return False

    def _ask(self, method: str, path: str, value: Any) -> Any:
        body = None if value is None else json.dumps(value).encode()
        request = urllib.request.Request(  # noqa: S310 - the address is our own server's
            self.url + path, data=body, headers=self._headers, method=method
        )
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
            text = answer.read()
        return json.loads(text) if text else None
