"""How each layer changes the predictions in int8, if a plugin measured `LayerSensitivities`."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from pupila.measured import LayerSensitivities
from pupila_flows.report.lineage import Lineage
from pupila_flows.report.plots import svg
from pupila_flows.results import Entry

_SHOWN = 20
"""Most layers of a model that are drawn; the rest are counted."""


@dataclass(frozen=True)
class LayerBar:
    """A layer and how much it changes the predictions if only this layer is quantised."""

    name: str
    operator: str
    divergence: float
    """Mean KL divergence of the predictions, in nats; `bar` is relative to the worst layer."""
    in_float: bool
    """Whether the layer was left in float."""
    bar: Markup


@dataclass(frozen=True)
class Layers:
    """The layers of one artifact, the most sensitive first."""

    artifact: str
    bars: tuple[LayerBar, ...]
    left_out: int


def sensitive_layers(lineage: Lineage) -> list[Layers]:
    """Return the layers of every artifact whose plugin measured `LayerSensitivities`."""
    return [layers for layers in map(_layers, lineage.entries.values()) if layers]


def _layers(entry: Entry) -> Layers | None:
    measured = entry.measured.read(LayerSensitivities)
    layers = [
        (layer, layer.divergence)
        for layer in (measured.sensitivity if measured else ())
        if layer.divergence is not None and layer.divergence >= 0
    ]
    if not layers:
        return None
    longest = max(divergence for _, divergence in layers) or 1.0
    bars = [
        LayerBar(
            name=layer.layer,
            operator=layer.operator,
            divergence=divergence,
            in_float=layer.in_float,
            bar=_bar(divergence / longest),
        )
        for layer, divergence in layers[:_SHOWN]
    ]
    return Layers(entry.name, tuple(bars), len(layers) - len(bars))


def _bar(fraction: float) -> Markup:
    return svg.element(
        "svg",
        svg.element("rect", x=0, y=1, width=100 * fraction, height=8, class_="bar"),
        viewBox="0 0 101 10",
        preserveAspectRatio="none",
        class_="latency",
        aria_hidden="true",
    )
