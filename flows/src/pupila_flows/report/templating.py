"""Fills the templates of the pages; every value is escaped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from pupila_flows.report import formats

_SHEETS = ("style.css", "sweep.css", "search.css", "gate.css")


def fill(template: str, **values: Any) -> str:
    """Return a page with the style sheet inside."""
    return (
        _environment()
        .get_template(template)
        .render(
            formats=formats,
            json=_json,
            breakable=_breakable,
            style=Markup("".join(map(style_sheet, _SHEETS))),  # noqa: S704 - ours
            **values,
        )
    )


def style_sheet(name: str) -> str:
    """Return one of our style sheets."""
    source, _, _ = PackageLoader("pupila_flows.report").get_source(_environment(), name)
    return source


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("pupila_flows.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _breakable(name: str) -> Markup:
    """Escape a name and let it break after an underscore, where browsers would not."""
    return escape(name).replace("_", Markup("_<wbr>"))


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)
