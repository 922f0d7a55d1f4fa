"""All pages of a workspace in a real browser: their texts are hostile, and nothing of them runs."""

from __future__ import annotations

import socket
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from hostile_pages import write_workspace
from starlette.responses import Response

from pupila_flows.station.files import Files

pytestmark = pytest.mark.long

KINDS = ("report", "sweep", "plot", "card", "data docs", "details")
_FOREIGN = (
    "script:not(body > script:last-child), base, form, textarea, [onerror], [onload], [onclick], "
    "button:not([id=results-csv], th[data-sort] > button), "
    "img:not([src^='data:']), a[href^='javascript'], a[href*=invalid], link, iframe, object, embed"
)
_NO_SCRIPTS = "Blocked script execution"
"""Start of what the browser says of the report's own script in a station, which allows none."""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile") / ".pupila"


@pytest.fixture(scope="module")
def pages(workspace: Path) -> dict[str, Path]:
    return write_workspace(workspace)


@pytest.fixture(scope="module")
def served(workspace: Path) -> Generator[str]:
    """Serve the workspace as a station does, and return the address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(Files(workspace, Response()), log_level="critical"))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/pupila"
        server.should_exit = True
        thread.join()


class Opened:
    """A page in a profile of its own, with all that it asked for and complained of."""

    def __init__(self, browser: Any, address: str, *, unprotected: bool = False) -> None:
        self.context = browser.new_context(bypass_csp=unprotected)
        self.page = self.context.new_page()
        self.asked: list[str] = []
        self.said: list[str] = []
        self.context.route("**/favicon.ico", _nothing)
        self.context.on("request", self._note_request)
        self.page.on("console", self._note_message)
        self.page.goto(address)
        self.page.wait_for_load_state("networkidle")

    def _note_request(self, request: Any) -> None:
        self.asked.append(request.url)

    def _note_message(self, message: Any) -> None:
        self.said.append(message.text)


def _nothing(route: Any) -> None:
    route.fulfill(status=204)


def _address(pages: dict[str, Path], kind: str, workspace: Path, served: str | None) -> str:
    page = pages[kind]
    return page.as_uri() if served is None else f"{served}/{page.relative_to(workspace)}"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", ["file", "served", "unprotected"])
def test_no_text_of_others_runs_or_asks_for_anything(
    kind: str, way: str, browser: Any, pages: dict[str, Path], workspace: Path, served: str
) -> None:
    address = _address(pages, kind, workspace, served if way == "served" else None)
    opened = Opened(browser, address, unprotected=way == "unprotected")
    page = opened.page
    others = [url for url in opened.asked if not url.startswith("data:")]
    assert {*others} - {f"{served.removesuffix('pupila')}favicon.ico"} == {address}
    ours = [_NO_SCRIPTS] if (kind, way) == ("report", "served") else []
    said = [text[: len(_NO_SCRIPTS)] for text in opened.said]
    assert said == ours, "the policy had to stop something, or something broke"
    assert page.evaluate("window.ran") is None
    foreign = page.eval_on_selector_all(_FOREIGN, "all => all.map(each => each.outerHTML)")
    assert foreign == []
    shown = page.evaluate("document.documentElement.textContent")
    assert "window.ran" in shown and "{{ 7 * 7 }}" in shown
    assert "\\u202e" in shown and "\u202e" not in shown
    opened.context.close()


@pytest.mark.parametrize("kind", ["report", "sweep"])
@pytest.mark.parametrize("way", ["file", "served"])
def test_links_of_a_page_lead_somewhere(
    kind: str, way: str, browser: Any, pages: dict[str, Path], workspace: Path, served: str
) -> None:
    chosen = served if way == "served" else None
    opened = Opened(browser, _address(pages, kind, workspace, chosen))
    opened.page.click("text=Data Docs of the validation")
    opened.page.wait_for_load_state()
    assert opened.page.title().startswith("Data validation: ")
    assert opened.page.url == _address(pages, "data docs", workspace, chosen)
    opened.page.click(".more a >> nth=0")
    opened.page.wait_for_load_state()
    assert "/validations/" in opened.page.url
    assert "There is no such page" not in opened.page.inner_text("body")
    opened.context.close()


def test_the_files_of_a_sweep_are_given(
    browser: Any, pages: dict[str, Path], workspace: Path, served: str
) -> None:
    opened = Opened(browser, _address(pages, "sweep", workspace, served))
    with opened.page.expect_download() as download:
        opened.page.click("text=sweep.csv")
    assert download.value.path().read_bytes() == pages["sweep"].with_name("sweep.csv").read_bytes()
    opened.page.click("text=sweep.svg")
    opened.page.wait_for_url("**/sweep.svg")
    opened.context.close()
