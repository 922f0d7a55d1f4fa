"""How a browser shows that it has the password: a page with a form, a link, and then a cookie."""

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
    """Return the address that logs a browser in."""
    return f"{root}{PATH}?token={link_token(auth)}"


def page_with_link(workspace: Path, address: Address) -> Path:
    """Write a page, for its user alone, that leads a browser in, and return where it is."""
    file = station_folder(workspace) / "open.html"
    file.unlink(missing_ok=True)
    file.touch(0o600)
    link = login_link(address.root, address.auth)
    file.write_text(f'<!doctype html><meta http-equiv="refresh" content="0; url={escape(link)}">\n')
    return file


def link_token(auth: str) -> str:
    """Return what a link must have to log a browser in."""
    return _derived(auth, "link")


def cookie_value(auth: str) -> str:
    """Return what the cookie of a browser that is logged in holds; not the password itself."""
    return _derived(auth, "cookie")


def is_password(text: str, auth: str) -> bool:
    """Tell whether a text is a `user:password`, or its password alone."""
    given = text.strip().encode()
    whole = hmac.compare_digest(given, auth.encode())
    return hmac.compare_digest(given, auth.partition(":")[2].encode()) or whole


def page(target: str, said: str = "") -> Response:
    """Return the form that asks for the password, and leads to a path of ours."""
    text = _PAGE.format(action=PATH, said=escape(said), target=escape(_own(target)))
    headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-store"}
    return HTMLResponse(text, 401, headers)


def welcome(target: str, cookie: str, auth: str, *, secure: bool) -> Response:
    """Return the answer that gives a browser its cookie, and leads on."""
    # 303: what was a POST goes on as a GET; Lax: a link in a mail or chat leads in, no form does
    answer = RedirectResponse(_own(target), 303, {"Cache-Control": "no-store"})
    answer.set_cookie(
        cookie,
        cookie_value(auth),
        max_age=_COOKIE_SECONDS,
        httponly=True,
        samesite="lax",
        secure=secure,
    )
    return answer


def _own(target: str) -> str:
    """Return a path of this server; nothing that leads elsewhere."""
    written = quote(target, safe="/?&=%#:@!$'()*+,;~-._[]")
    return written if written.startswith("/") and not written.startswith("//") else "/"


def _derived(auth: str, purpose: str) -> str:
    return hmac.new(auth.encode(), f"pupila station {purpose}".encode(), hashlib.sha256).hexdigest()
