"""Fills the page templates; every value is escaped."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, cast

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from pupila_flows.printable import printable
from pupila_flows.report import figures, formatting

_SHOWN_RECORDS = 5
_NUMBERS = re.compile(r"\[\n[-+.,\d\sEe]+\]")
"""A list of numbers in indented JSON, which is shown on one line."""
_SCRIPT = "report.js"
_SHEETS = ("style.css", "sweep.css", "search.css", "gate.css", "reading.css")


def fill(template: str, **values: Any) -> str:
    """Return a page template filled with values, with its style sheets embedded."""
    return printable(
        _environment()
        .get_template(template)
        .render(
            figures=figures,
            formatting=formatting,
            json=_json,
            marked=_marked,
            breakable=_breakable,
            style=Markup("".join(map(template_text, _SHEETS))),  # noqa: S704 - ours
            script=Markup(template_text(_SCRIPT)),  # noqa: S704 - ours
            script_digest=_digest(template_text(_SCRIPT)),
            **values,
        )
    )


def template_text(name: str) -> str:
    """Return the text of one of the page's style sheets, or of its script."""
    source, _, _ = PackageLoader("pupila_flows.report").get_source(_environment(), name)
    return source


def _digest(script: str) -> str:
    """Return the source by which a Content-Security-Policy allows one script."""
    return f"sha256-{b64encode(sha256(script.encode()).digest()).decode()}"


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("pupila_flows.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _marked(images: Sequence[Any]) -> bool:
    """Return whether some picture is a drawing with marks."""
    return any(isinstance(image.picture, Markup) for image in images)


def _breakable(name: str) -> Markup:
    """Escape a name and allow a line break after each underscore."""
    return escape(name).replace("_", Markup("_<wbr>"))


def _json(value: Mapping[str, Any]) -> str:
    text = json.dumps(_shortened(value), indent=2, ensure_ascii=False, default=str)
    return _NUMBERS.sub(lambda listed: " ".join(listed[0].split()), text)


def _shortened(value: Any) -> Any:
    """Cut long lists of records short; `artifact.json` holds them in full."""
    if isinstance(value, Mapping):
        fields = cast("Mapping[str, Any]", value)
        return {name: _shortened(field) for name, field in fields.items()}
    if not isinstance(value, list | tuple):
        return value
    listed = [_shortened(item) for item in cast("Sequence[Any]", value)]
    if len(listed) <= _SHOWN_RECORDS or not isinstance(listed[0], dict):
        return listed
    return [*listed[:_SHOWN_RECORDS], f"… {len(listed) - _SHOWN_RECORDS} more in artifact.json"]
