"""The release gate: a verdict per artifact, intervals against margins, and pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from pupila.evaluation import Estimate
from pupila_flows.gate import messages
from pupila_flows.gate.conditions import find_condition, title_of
from pupila_flows.gate.units import Direction
from pupila_flows.report.plots import svg
from pupila_flows.report.predictions import locate
from pupila_flows.results import (
    ArtifactVerdict,
    Finding,
    GateResult,
    RunResult,
    Verdict,
    WrongImage,
)
from pupila_flows.thumbnails import thumbnail

WORDS: dict[Verdict, str] = {
    "pass": "✓ pass",
    "fail": "✗ fail",
    "inconclusive": "? inconclusive",
}
_WIDTH, _HEIGHT = 260.0, 22.0
_MARGINS = 3.0
"""Range of a plot on each side of a difference of zero, in margins."""
_Scale = Callable[[float], float]
_IMAGES = 8
"""Most images shown for one artifact."""


@dataclass(frozen=True)
class Picture:
    """A validation image that counts against an artifact."""

    image: WrongImage
    picture: str | None
    against: str
    """What the artifact is compared with: a teacher, `published` or `anchor`; empty without one."""

    @property
    def file(self) -> str:
        return Path(self.image.path).name


@dataclass(frozen=True)
class Row:
    """One finding of the gate with its plot."""

    finding: Finding
    name: str
    plot: Markup


@dataclass(frozen=True)
class Panel:
    """The gate's findings on one artifact, and validation images that count against it."""

    verdict: ArtifactVerdict
    rows: tuple[Row, ...]
    pictures: tuple[Picture, ...]
    left_out: int
    kept: str | None
    """Digest of the artifact if it came closest to passing and is therefore kept; else None."""


def panels(result: RunResult, folder: Path) -> list[Panel]:
    """Return a panel for each artifact that the gate checked; empty without a gate."""
    if result.gate is None:
        return []
    gate = result.gate
    return [_panel(result, gate, verdict, folder) for verdict in gate.artifacts]


def _panel(result: RunResult, gate: GateResult, verdict: ArtifactVerdict, folder: Path) -> Panel:
    unmet = [finding for finding in verdict.findings if finding.verdict != "pass"]
    images = {
        image.path: (image, finding.against or "")
        for finding in reversed(unmet)
        for image in finding.images
    }
    shown = list(images.values())[:_IMAGES]
    best = gate.best == verdict.entry
    entry = next((entry for entry in result.entries if entry.name == verdict.entry), None)
    return Panel(
        verdict=verdict,
        rows=tuple(
            Row(finding, title_of(finding.condition, gate.task), plot(finding))
            for finding in verdict.findings
        ),
        pictures=tuple(
            Picture(image, thumbnail(locate(image.path, folder)), against)
            for image, against in shown
        ),
        left_out=len(images) - len(shown),
        kept=entry.artifact if best and entry else None,
    )


def notes(result: RunResult) -> list[str]:
    """Return remarks that help to read the verdicts; empty without a gate."""
    return messages.notes(result.gate) if result.gate else []


def plot(finding: Finding) -> Markup:
    """Draw a finding: its interval with the margin, or its value with the limit."""
    condition = find_condition(finding.condition)
    if condition is None:
        return Markup("")
    kind = condition.plot(finding)
    if kind == "difference" and finding.difference and condition.margin:
        return _difference(finding, finding.difference, condition.margin.direction)
    if kind == "interval" and finding.interval:
        return _interval(finding, finding.interval)
    return _bar(finding) if kind == "bar" else Markup("")


def _difference(finding: Finding, difference: Estimate, direction: Direction) -> Markup:
    """Draw a paired difference in units of its margin; losses are on the left."""

    def scale(value: float) -> float:
        return _WIDTH * (0.5 + value / finding.limit / (2 * _MARGINS))

    gains = sorted(map(direction.gain, (difference.low, difference.high)))
    gain = difference.model_copy(
        update={"value": direction.gain(difference.value), "low": gains[0], "high": gains[1]}
    )
    marks = [svg.line(scale(0), 2, scale(0), _HEIGHT - 2, "zero")]
    return _draw_estimate(finding, gain, scale(-finding.limit), scale, marks)


def _interval(finding: Finding, interval: Estimate) -> Markup:
    """Draw a fraction of the images on a scale that contains its interval and the limit."""
    low, high = min(interval.low, finding.limit), max(interval.high, finding.limit)
    span = (high - low) * 1.2 or 0.1
    start = (low + high - span) / 2

    def scale(value: float) -> float:
        return _WIDTH * (value - start) / span

    return _draw_estimate(finding, interval, scale(finding.limit), scale, [])


def _draw_estimate(
    finding: Finding, estimate: Estimate, limit: float, scale: _Scale, marks: list[Markup]
) -> Markup:
    middle = _HEIGHT / 2
    low, high = _clip(scale(estimate.low)), _clip(scale(estimate.high))
    value = _clip(scale(estimate.value))
    marks = [
        svg.element("rect", x=0, y=0, width=limit, height=_HEIGHT, class_="beyond"),
        *marks,
        svg.line(limit, 0, limit, _HEIGHT, "limit"),
        svg.line(low, middle, high, middle, "span"),
        svg.element("circle", cx=value, cy=middle, r=4, class_="value"),
        *_arrows(scale(estimate.low), scale(estimate.high)),
    ]
    return svg.picture(_WIDTH, _HEIGHT, finding.text, *marks, class_=f"forest {finding.verdict}")


def _clip(x: float) -> float:
    return min(max(x, 4.0), _WIDTH - 4)


def _arrows(low: float, high: float) -> list[Markup]:
    """Draw an arrow where an interval continues outside the plot."""
    middle, arrows = _HEIGHT / 2, list[Markup]()
    if low < 0:
        arrows.append(svg.path([(8, middle - 5), (1, middle), (8, middle + 5)], "arrow"))
    if high > _WIDTH:
        left, right = _WIDTH - 8, _WIDTH - 1
        arrows.append(svg.path([(left, middle - 5), (right, middle), (left, middle + 5)], "arrow"))
    return arrows


def _bar(finding: Finding) -> Markup:
    """Draw a cost from zero; the range beyond the limit is shaded."""
    unit = _WIDTH / (1.15 * max(finding.value, finding.limit))
    limit, value = finding.limit * unit, finding.value * unit
    return svg.picture(
        _WIDTH,
        _HEIGHT,
        finding.text,
        svg.element("rect", x=limit, y=0, width=_WIDTH - limit, height=_HEIGHT, class_="beyond"),
        svg.element("rect", x=0, y=_HEIGHT / 2 - 4, width=max(value, 1), height=8, class_="bar"),
        svg.line(limit, 0, limit, _HEIGHT, "limit"),
        class_=f"forest {finding.verdict}",
    )
