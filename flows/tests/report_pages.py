"""What tests ask of a page of the report."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

from pupila_flows.report.page import write_report
from pupila_flows.results import RunResult


class Page(HTMLParser):
    """What the tests ask of a page: its tags with attributes, its text, and its ids."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data.replace("\u00a0", " "))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def read(result: RunResult, folder: Path) -> Page:
    return Page(write_report(result, folder).read_text())
