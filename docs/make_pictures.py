"""Takes the pictures in the docs from finished runs, in a real browser.

    python docs/make_pictures.py WORKSPACE                 # docs/report.png
    python docs/make_pictures.py WORKSPACE --image IMAGE   # docs/site.png too

`docs/report.png` is the beginning of the report of `examples/glaucoma.yaml`. `docs/site.png` is the
page of the last run with a step named `page` that uses `site`, after its answer to an image that
no model was trained on:

    page: {use: site, from: [tflite-int8, tflite], with: {names: [int8, float32], filter: auto}}

What the workspace does not have is left as it is. Chromium is looked for as in evaluations.
"""

from __future__ import annotations

import argparse
import io
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from pupila_flows.cli.serve import open_server
from pupila_web.browser import find_chromium

DOCS = Path(__file__).resolve().parent
REPORT = "runs/glaucoma/latest/report.html"
SITES = "runs/*/latest/page/index.html"
LARGEST_BYTES = 100_000
COLOURS = (256, 192, 128, 96, 64, 32)
FIRST_ANSWER_MS = 60_000
"""Time limit in which the page loads its runtime and a model."""
SETTLE_MS = 3_000


@contextmanager
def started() -> Iterator[Browser]:
    """Start Chromium without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_chromium(Path(playwright.chromium.executable_path)),
            chromium_sandbox=os.geteuid() != 0,  # Chromium refuses to sandbox root
        )
        yield browser
        browser.close()


def picture_of_report(browser: Browser, report: Path) -> bytes:
    """Return the first screens of a report as PNG."""
    page = browser.new_page(viewport={"width": 975, "height": 1330})
    page.goto(report.resolve().as_uri())
    return page.screenshot()


def picture_of_site(browser: Browser, site: Path, image: Path) -> bytes:
    """Return a site with its second answer to an image; the first one takes longer than usual."""
    page = browser.new_page(viewport={"width": 1100, "height": 921})
    with open_server(site, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        page.wait_for_function("navigator.serviceWorker.ready", timeout=FIRST_ANSWER_MS)
        for _ in range(2):
            page.set_input_files("#file", [])
            page.set_input_files("#file", image)
            page.wait_for_selector("#answer:not(:empty)", timeout=FIRST_ANSWER_MS)
            page.wait_for_timeout(SETTLE_MS)
        picture = page.screenshot()
        server.shutdown()
    return picture


def write(path: Path, picture: bytes) -> None:
    """Write a picture with as many colours as fit into `LARGEST_BYTES`.

    Raises:
        ValueError: it does not fit with the fewest colours either.
    """
    whole = Image.open(io.BytesIO(picture)).convert("RGB")
    for colours in COLOURS:
        written = io.BytesIO()
        whole.quantize(colours, dither=Image.Dither.NONE).save(written, "PNG", optimize=True)
        if written.tell() <= LARGEST_BYTES:
            path.write_bytes(written.getvalue())
            print(f"{path}: {written.tell()} bytes, {colours} colours")
            return
    raise ValueError(f"{path} would have more than {LARGEST_BYTES} bytes")


def main() -> None:
    """Take the pictures that a workspace can give."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--image", type=Path, help="image that the site answers")
    given = parser.parse_args()
    report, sites = given.workspace / REPORT, sorted(given.workspace.glob(SITES))
    if not report.is_file() and not (sites and given.image):
        parser.error(f"{given.workspace} has neither {REPORT} nor, with --image, {SITES}")
    with started() as browser:
        if report.is_file():
            write(DOCS / "report.png", picture_of_report(browser, report))
        if sites and given.image:
            write(DOCS / "site.png", picture_of_site(browser, sites[-1].parent, given.image))


if __name__ == "__main__":
    main()
