"""Texts of others in Markdown: read by two readers, they show what was written and do nothing."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt

from pupila_flows.markdown import code, plain, table, without_links

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=http://example.org/x.png onerror=alert(1)>',
    "![x](http://example.org/x.png)",
    "[x](javascript:alert(1))",
    "[x]: javascript:alert(1)",
    "<javascript:alert(1)>",
    "&lt;b&gt; &amp; **bold** _it_ ~~gone~~ ~gone~",
    "a | b || c",
    "`code` ``two`` \\` \\\\",
    "# head",
    "> quote",
    "- item",
    "\\<b\\>",
    "\\[x](javascript:alert(1))",
    "\\\\[x](javascript:alert(1))",
    "~~~",
    "http://example.org/a_b*c)[d] and www.example.org/e_f",
    "a\x00b",
)
READERS = (
    MarkdownIt("commonmark").enable("table"),
    MarkdownIt("gfm-like", {"linkify": False}),
)
"""Both let HTML through, as Prefect's pages do."""


class Read(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def _shown(text: str) -> str:
    return " ".join(text.replace("\x00", "\\x00").split())


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_is_shown_as_it_is_written(reader: MarkdownIt, text: str) -> None:
    read = Read(reader.render(plain(text)))
    assert (read.elements, read.text.strip()) == ({"p"}, _shown(text))


@pytest.mark.parametrize("write", [plain, code])
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("text", HOSTILE)
def test_a_cell_of_a_table_is_too(
    reader: MarkdownIt, text: str, write: Callable[[str], str]
) -> None:
    lines = table([write(text), "second"], [["first", write(text)]])
    read = Read(reader.render("\n".join(lines)))
    assert read.elements <= {"table", "thead", "tbody", "tr", "th", "td", "code"}
    assert _shown(read.text) == f"{_shown(text)} second first {_shown(text)}"


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_of_others_has_no_links_pictures_or_html(reader: MarkdownIt, text: str) -> None:
    markdown = f"| model | is |\n|---|---|\n| a | {text} |\n\n{text}\n\nand *more*\n"
    read = Read(reader.render(without_links(markdown)))
    assert not read.elements & {"a", "img", "script", "b"}
    assert {"table", "em"} <= read.elements or text == "~~~"
