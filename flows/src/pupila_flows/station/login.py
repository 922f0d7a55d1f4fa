"""Logs a browser in with a form or a printed link, and keeps it logged in with a cookie."""

from __future__ import annotations

import hashlib
import hmac
from html import escape
from pathlib import Path
from urllib.parse import quote

from starlette.responses import HTMLResponse, RedirectResponse, Response

from pupila_flows.station.address import Address, station_folder

PATH = "/pupila/login"
WRONG = "That is not the password of this station."
OLD_LINK = "This link is of another password: use the one that was printed last."

_COOKIE_SECONDS = 30 * 24 * 3600
_PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Pupila station</title>
<style>
  :root {{ color-scheme: light dark }}
  body {{ font: 16px/1.5 system-ui, sans-serif }}
  body {{ max-width: 26rem; margin: 18vh auto 0; padding: 0 1rem }}
  h1 {{ font-size: 1.4rem }}
  form {{ display: flex; gap: .5rem }}
  input {{ flex: 1; min-width: 0 }}
  input, button {{ font: inherit; padding: .4rem .6rem }}
  [role=alert] {{ color: #d33 }}
</style>
<h1>Pupila station</h1>
<p role="alert">{said}</p>
<form method="post" action="{action}">
  <input type="password" name="password" aria-label="Password" placeholder="Password"
    autocomplete="current-password" required autofocus>
  <input type="hidden" name="next" value="{target}">
  <button>Open</button>
</form>
<p>The password is the line in the file that <code>pupila station</code> named when it was started:
by default <code>station/password</code> in its workspace.</p>
"""
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)


def login_link(root: str, auth: str) -> str:
    """Return the link that logs a browser in to the server at `root`."""
    return f"{root}{PATH}?token={link_token(auth)}"


def page_with_link(workspace: Path, address: Address) -> Path:
    """Write a local page that redirects to the login link; only its owner may read it."""
    file = station_folder(workspace) / "open.html"
    file.unlink(missing_ok=True)
    file.touch(0o600)
    link = login_link(address.root, address.auth)
    file.write_text(f'<!doctype html><meta http-equiv="refresh" content="0; url={escape(link)}">\n')
    return file


def link_token(auth: str) -> str:
    """Return the token that a login link contains, derived from the password."""
    return _derive(auth, "link")


def cookie_value(auth: str) -> str:
    """Return the cookie of a logged-in browser, which is derived from the password."""
    return _derive(auth, "cookie")


def is_password(text: str, auth: str) -> bool:
    """Return whether a text is `auth` (`user:password`), or only the password in `auth`."""
    given = text.strip().encode()
    whole = hmac.compare_digest(given, auth.encode())
    return hmac.compare_digest(given, auth.partition(":")[2].encode()) or whole


def page(target: str, said: str = "") -> Response:
    """Return a page with the login form and the message `said`; a login leads to `target`."""
    text = _PAGE.format(action=PATH, said=escape(said), target=escape(_local_path(target)))
    headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-store"}
    return HTMLResponse(text, 401, headers)


def log_in(target: str, cookie: str, auth: str, *, secure: bool) -> Response:
    """Return the response that sets the login cookie and redirects the browser to `target`."""
    # 303 turns a POST into a GET; Lax: links in mails or chats send the cookie, forms do not
    answer = RedirectResponse(_local_path(target), 303, {"Cache-Control": "no-store"})
    answer.set_cookie(
        cookie,
        cookie_value(auth),
        max_age=_COOKIE_SECONDS,
        httponly=True,
        samesite="lax",
        secure=secure,
    )
    return answer


def _local_path(target: str) -> str:
    """Return the target if it is a path of this server; otherwise `/`."""
    written = quote(target, safe="/?&=%#:@!$'()*+,;~-._[]")
    return written if written.startswith("/") and not written.startswith("//") else "/"


def _derive(auth: str, purpose: str) -> str:
    return hmac.new(auth.encode(), f"pupila station {purpose}".encode(), hashlib.sha256).hexdigest()
