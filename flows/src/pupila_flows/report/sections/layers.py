"""What int8 costs layer by layer, as the plugin that looked for it has noted it.

What a plugin notes while it makes an artifact is free in form: what does not look like this is
left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from markupsafe import Markup

from pupila_flows.report.lineage import Lineage
from pupila_flows.report.plots import svg
from pupila_flows.results import Entry

_SHOWN = 20
"""Layers of a model that are drawn; the rest are counted."""


@dataclass(frozen=True)
class LayerBar:
    """A layer with its divergence in nats, drawn against that of the worst layer."""

    name: str
    operator: str
    divergence: float
    in_float: bool
    bar: Markup


@dataclass(frozen=True)
class Layers:
    """The layers of one artifact, the most sensitive first."""

    artifact: str
    bars: tuple[LayerBar, ...]
    left_out: int


def sensitive_layers(lineage: Lineage) -> list[Layers]:
    """Return the layers of every artifact that such figures were noted of."""
    return [found for found in map(_layers, lineage.entries.values()) if found]


def _layers(entry: Entry) -> Layers | None:
    noted = entry.record.measured.get("sensitivity") if entry.record else None
    rows = cast("list[object]", noted) if isinstance(noted, list) else []
    known = [row for row in map(_row, rows) if row]
    if not known:
        return None
    longest = max(divergence for _, _, divergence, _ in known) or 1.0
    bars = [LayerBar(*row, _bar(row[2] / longest)) for row in known[:_SHOWN]]
    return Layers(entry.name, tuple(bars), len(known) - len(bars))


def _row(noted: object) -> tuple[str, str, float, bool] | None:
    row = cast("Mapping[str, Any]", noted if isinstance(noted, Mapping) else {})
    divergence = row.get("divergence")
    if not isinstance(divergence, int | float) or not math.isfinite(divergence) or divergence < 0:
        return None
    return (
        str(row.get("layer", "")),
        str(row.get("operator", "")),
        float(divergence),
        row.get("in_float") is True,
    )


def _bar(part: float) -> Markup:
    return svg.element(
        "svg",
        svg.element("rect", x=0, y=1, width=100 * part, height=8, class_="bar"),
        viewBox="0 0 101 10",
        preserveAspectRatio="none",
        class_="latency",
        aria_hidden="true",
    )
