"""Fills the templates of the pages; every value is escaped."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from pupila_flows.printable import printable
from pupila_flows.report import formatting

_SHOWN_RECORDS = 5
_SHEETS = ("style.css", "sweep.css", "search.css", "gate.css")


def fill(template: str, **values: Any) -> str:
    """Return a page with the style sheet inside."""
    return printable(
        _environment()
        .get_template(template)
        .render(
            formatting=formatting,
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
    return json.dumps(_shortened(value), indent=2, ensure_ascii=False, default=str)


def _shortened(value: Any) -> Any:
    """Return the same with few of the records that a long list has; `artifact.json` has all."""
    if isinstance(value, Mapping):
        named = cast("Mapping[str, Any]", value)
        return {name: _shortened(each) for name, each in named.items()}
    if not isinstance(value, list | tuple):
        return value
    listed = [_shortened(each) for each in cast("Sequence[Any]", value)]
    if len(listed) <= _SHOWN_RECORDS or not isinstance(listed[0], dict):
        return listed
    return [*listed[:_SHOWN_RECORDS], f"… {len(listed) - _SHOWN_RECORDS} more in artifact.json"]
