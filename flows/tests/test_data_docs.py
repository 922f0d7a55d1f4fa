"""The pages that show what was found in the data."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from spoilt_clinics import BOUNDS, CLASSES, Clinic, picture, truncate

from pupila_flows.data.validation import validate


@pytest.fixture
def clinic(tmp_path: Path) -> Clinic:
    return Clinic(tmp_path)


class Requests(HTMLParser):
    """What a browser would fetch for a page, and where its links lead."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.scripts = 0
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        for name, value in attrs:
            if name == "src" or (name == "href" and tag != "a"):
                self.fetched.append(value or "")
            elif name == "href":
                self.links.append(value or "")
            elif name.startswith("on"):
                self.handlers.append(value or "")


def requests(page: Path) -> Requests:
    parser = Requests()
    parser.feed(page.read_text())
    return parser


def test_data_docs_ask_the_network_for_nothing(clinic: Clinic) -> None:
    truncate(clinic)
    clinic.validate()
    pages = list((clinic.folder / "docs").rglob("*.html"))
    assert len(pages) == 5
    for page in pages:
        requested = requests(page)
        assert requested.scripts == 0
        assert [url for url in requested.fetched if re.match(r"(https?:)?//", url)] == []
        assert "url(http" not in page.read_text()
        assert "@import" not in page.read_text()


def test_every_link_of_data_docs_leads_to_a_page_or_a_place(clinic: Clinic) -> None:
    clinic.validate()
    for page in (clinic.folder / "docs").rglob("*.html"):
        for link in requests(page).links:
            target, _, anchor = link.partition("#")
            aim = (page.parent / target).resolve() if target else page
            assert aim.is_file(), f"{page.name} links to {link}"
            assert not anchor or re.search(rf'id="?{re.escape(anchor)}\b', aim.read_text())


def test_the_index_page_tells_what_was_found(clinic: Clinic) -> None:
    truncate(clinic)
    checks, index = validate(
        clinic.scan(), CLASSES, "ill", BOUNDS, clinic.folder / "docs", "<eyes>.csv"
    )
    html = index.read_text()
    assert "&lt;eyes&gt;.csv" in html
    assert "Stopped" in html
    assert clinic.path(0).name in html
    assert all(check.name in html for check in checks)


def test_the_index_page_shows_what_was_found_and_what_the_images_are_like(clinic: Clinic) -> None:
    truncate(clinic)
    clinic.add(picture(900, (48, 20)), "ill", "train")
    dark = BOUNDS.model_copy(update={"minimum_brightness": 127.5})
    docs = clinic.folder / "docs"
    _, index = validate(clinic.scan(), CLASSES, "ill", dark, docs, "clinic.csv")
    html = index.read_text()
    broken, small = clinic.path(0).name, clinic.path(40).name
    assert f'aria-label="{broken} cannot be shown"' in html
    assert re.search(rf'<img src="data:image/jpeg;base64,[^"]+" alt="{small}">', html)
    assert '<span class="reason">height 20</span>' in html
    assert '<span class="reason">image file is truncated</span>' in html
    assert re.search(r'<span class="reason">brightness \d+(\.\d+)?</span>', html)
    charts = re.findall(r'aria-label="([^"]+) of 40 images: ([\d.,]+) to ([\d.,]+), median', html)
    assert [title.split(",")[0] for title, _, _ in charts] == [
        *("width", "height", "brightness", "sharpness", "file size")
    ]
    assert charts[1][1:] == ("20", "40")
    assert html.count("<line ") == 2, "the least height and the least brightness"


def test_the_folder_of_data_docs_may_be_moved(clinic: Clinic) -> None:
    clinic.validate()
    moved = (clinic.folder / "docs").rename(clinic.folder / "elsewhere")
    for page in moved.rglob("*.html"):
        for link in requests(page).links:
            target = link.partition("#")[0]
            assert not target or (page.parent / target).is_file(), f"{page.name} links to {link}"


def test_validation_is_quiet_and_replaces_its_earlier_pages(
    clinic: Clinic, capfd: pytest.CaptureFixture[str]
) -> None:
    clinic.validate()
    clinic.validate()
    assert len(list((clinic.folder / "docs").rglob("*.html"))) == 5
    written = capfd.readouterr()
    assert (written.out, written.err) == ("", "")


HOSTILE = (
    "<img src=//example.org/x.png onerror=alert(1)>",
    "</td><script>alert(1)</script>",
    "<scr<script></script>ipt>alert(1)</script>",
    '" onmouseover="alert(1)',
    "<svg/onload=alert(1)>",
    "<style>@import url(http://example.org)</style>",
    "{{ 7 * 7 }} $label ${x} %s",
)


def test_names_of_classes_and_files_are_shown_and_not_obeyed(clinic: Clinic) -> None:
    name = " ".join(HOSTILE)
    truncate(clinic)
    frame = clinic.scan()
    frame["label"] = frame["label"].astype(str).replace("well", name)
    frame["path"] = [f"{name}/{path}" for path in frame["path"]]
    frame.loc[frame.index[-1], "label"] = f"unknown {name}"
    docs = clinic.folder / "docs"
    checks, index = validate(frame, ("ill", name), "ill", BOUNDS, docs, name)
    seen = {image for check in checks for image in check.images}
    assert seen & set(frame["path"]), "what was escaped for the pages is turned back"
    assert any(f"unknown {name}" in check.observed for check in checks)
    for page in docs.rglob("*.html"):
        requested = requests(page)
        assert requested.scripts == 0
        assert [code for code in requested.handlers if "alert" in code] == []
        assert [url for url in requested.fetched if "example.org" in url] == []
        assert "default-src 'none'" in page.read_text().partition("</head>")[0]
        assert "{{ 7 * 7 }}" in page.read_text() or page.name == "index.html"
    assert "{{ 7 * 7 }} $label ${x} %s" in index.read_text()
