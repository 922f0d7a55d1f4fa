"""Opens one of our pages in a headless Chromium, driven by Playwright."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, TypeVar

from playwright.sync_api import Browser, Error, Page, Playwright, sync_playwright

from pupila import PupilaError
from pupila_web.server import HOST

T = TypeVar("T")

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = (
    # requests go to our own server only
    f"--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE {HOST}",
    "--disable-quic",
    # Chromium on Linux needs this for WebGPU
    "--enable-unsafe-webgpu",
)
"""Chromium's arguments in addition to those of Playwright.

Playwright's arguments turn off background work. They also emulate a graphics card in software if
the machine has none; the page then reports the emulation.
"""

_STOP_SECONDS = 10
_ERROR_START = re.compile(r"^[\w.]+: (\w*Error: )?")
_STDERR = re.compile(r"^\s*- \[pid=\d+\]\[err\] (.+)$", re.MULTILINE)
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


class OpenedPage:
    """A page in its own Chromium, with a new profile and an empty cache.

    Each page has its own thread, as Playwright needs a thread without an event loop.
    """

    def __init__(self, url: str) -> None:
        """Start Chromium and load `url`.

        Raises:
            PupilaError: Chromium is not installed, or it does not start.
        """
        self._process_id: int | None = None
        self._crashed = False
        self._owned = ExitStack()
        self._thread = ThreadPoolExecutor(1, "browser")
        with ExitStack() as undone:
            undone.callback(self.close)
            self._browser = self._do(self._start)
            (self._process_id,) = self.processes("browser")
            self._page = self._do(self._browser.new_page)
            self._page.on("crash", self._end)
            self._do(lambda: self._page.goto(url))
            undone.pop_all()

    @property
    def version(self) -> str:
        """Chromium's version, such as `"156.0.8078.79"`."""
        return self._do(lambda: self._browser.version)

    @property
    def process_id(self) -> int | None:
        """Id of Chromium's main process; None before it has started."""
        return self._process_id

    def call(self, function: str, *arguments: Any, seconds: float | None = None) -> Any:
        """Call a JavaScript function of the page, and return the value that it resolves to.

        Raises:
            RuntimeError: the function threw an error, or the browser crashed; the message gives
                the reason.
            TimeoutError: the function did not return within `seconds`.
        """
        return self._do(lambda: self._page.evaluate(function, list(arguments)), seconds)

    def peak_memory_bytes(self, *, with_gpu: bool) -> int | None:
        """Return the peak resident memory of the page's process in bytes; None without `/proc`.

        The memory includes JavaScript's heap and WebAssembly's memory. `with_gpu` adds the memory
        of Chromium's GPU process.
        """
        kinds = ("renderer", "GPU") if with_gpu else ("renderer",)
        # Chromium keeps a spare renderer, which is smaller
        peaks = [max(map(_peak_bytes, self.processes(kind)), default=0) for kind in kinds]
        return sum(peaks) or None

    def processes(self, kind: str) -> list[int]:
        """Return the ids of Chromium's processes of a kind: `browser`, `renderer` or `GPU`."""
        return self._do(lambda: _processes(self._browser, kind))

    def close(self) -> None:
        """Stop Chromium; kill it if it does not answer within ten seconds."""
        closing = self._thread.submit(self._owned.close)
        try:
            closing.result(_STOP_SECONDS)
        except TimeoutError:
            self._kill()
        except Error:  # it has ended already
            pass
        self._thread.shutdown()

    def _do(self, work: Callable[[], T], seconds: float | None = None) -> T:
        try:
            return self._thread.submit(work).result(seconds)
        except Error as error:
            what = "the page crashed; was there enough memory?" if self._crashed else None
            raise RuntimeError(what or _first_line(error)) from None

    def _end(self, _: Page) -> None:
        """Kill Chromium after its page crashed; otherwise Playwright would wait without end."""
        self._crashed = True
        self._kill()

    def _kill(self) -> None:
        if self._process_id:
            with suppress(ProcessLookupError):
                os.kill(self._process_id, signal.SIGKILL)

    def _start(self) -> Browser:
        playwright = self._owned.enter_context(sync_playwright())
        browser = _launch(playwright)
        self._owned.callback(browser.close)
        return browser


def find_chromium(playwrights: Path) -> Path:
    """Return the path of the Chromium to start.

    If the environment variable `PUPILA_CHROMIUM` names a program, only that program is tried.
    Otherwise the first Chromium or Chrome on `PATH` is returned. If `PATH` has neither,
    `playwrights` is returned: the path of Playwright's own Chromium.

    Raises:
        PupilaError: none of these programs exists.
    """
    named = os.environ.get("PUPILA_CHROMIUM")
    for program in [named] if named else [*_NAMES, str(playwrights)]:
        if path := shutil.which(program):
            return Path(path)
    where = f"at {named!r}, which PUPILA_CHROMIUM names" if named else "on this machine"
    raise PupilaError(
        f"Chromium was not found {where}. Install it (Debian: `apt-get install chromium`; "
        f"elsewhere: `playwright install chromium`), or set PUPILA_CHROMIUM to the program."
    )


def browser_version() -> str:
    """Return the name and version of the browser to start, such as `"Chromium 156.0.8078.79"`."""
    try:
        program = find_chromium(Path())
    except PupilaError:
        return "Playwright's own, or none"
    ended = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    return ended.stdout.strip()


def _launch(playwright: Playwright) -> Browser:
    program = find_chromium(Path(playwright.chromium.executable_path))
    try:
        return playwright.chromium.launch(
            executable_path=program,
            args=list(_ARGUMENTS),
            chromium_sandbox=os.geteuid() != 0,  # Chromium refuses to sandbox root
        )
    except Error as error:
        raise PupilaError(
            f"{str(program)!r} does not start: {_reason(error)}. Expected Chromium or Chrome: set "
            f"PUPILA_CHROMIUM to another."
        ) from None


def _reason(error: Error) -> str:
    """Return the last line that Chromium wrote, or else Playwright's message."""
    lines = _STDERR.findall(error.message)
    return lines[-1] if lines else _first_line(error)


def _first_line(error: Error) -> str:
    return _ERROR_START.sub("", error.message.splitlines()[0])


def _processes(browser: Browser, kind: str) -> list[int]:
    session: Any = browser.new_browser_cdp_session()  # Playwright returns plain dicts
    processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
    session.detach()
    return [process["id"] for process in processes if process["type"] == kind]


def _peak_bytes(process_id: int) -> int:
    """Return the peak resident memory of a process (Linux: `VmHWM`); 0 if it cannot be read."""
    try:
        status = Path(f"/proc/{process_id}/status").read_text()
    except OSError:
        return 0
    peak = _PEAK.search(status)
    return int(peak[1]) * 1024 if peak else 0
