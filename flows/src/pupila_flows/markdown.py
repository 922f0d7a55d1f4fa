"""Escapes untrusted texts, such as class names, for use in Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pupila_flows.printable import printable

_MARKUP = re.compile(r"(\\.)|([<&\[\]])", re.DOTALL)
"""Escaped characters, and the starts of HTML, entities, links and pictures."""


def plain(text: str) -> str:
    """Escape a text so that Markdown shows it literally, even in a table.

    URLs are escaped as well, so that no viewer turns them into links.
    """
    line = re.sub(r"([\\`*_\[\]|<>&~]|:(?=//)|(?<=www)\.)", r"\\\1", _one_line(text))
    return re.sub(r"^([#=+-])", r"\\\1", line)  # a heading, a rule, a fence, an item


def code(text: str) -> str:
    """Format a text as inline code that also works in a table."""
    line = _one_line(text).replace("|", r"\|")
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    return f"{fence} {line} {fence}" if len(fence) > 1 or not line else f"`{line}`"


def stated(text: str | None) -> str:
    """Escape a text written in a recipe, but keep its line breaks and lists."""
    return "\n".join(map(_line, (text or "").strip().splitlines()))


def _line(text: str) -> str:
    item = re.match(r"\s*[-+*]\s+", text)
    line = plain(text[item.end() :] if item else text)
    return f"* {line}" if item else line


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table; headings and cells must be Markdown already."""
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def without_links(markdown: str) -> str:
    """Escape HTML, links and images in Markdown, so that viewers show their source text."""
    return _MARKUP.sub(lambda match: match[1] or f"\\{match[2]}", printable(markdown))


def _one_line(text: str) -> str:
    return printable(" ".join(text.split()))
