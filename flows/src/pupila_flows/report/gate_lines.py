"""The verdicts as text for the terminal."""

from __future__ import annotations

import yaml

from pupila_flows.gate.conditions import condition_of
from pupila_flows.results import Finding, GateResult, RunResult

NO_GATE = "Gate: none in the recipe, so NOTHING of this run may be published: write `gate: {}`."
"""Where a recipe wants to publish."""
UNASKED = "Gate: none in the recipe."


def gate_rows(gate: GateResult) -> list[dict[str, str]]:
    """Return one row per artifact and condition, the artifact's verdict in its first."""
    return [
        {
            "gate": artifact.entry if not number else "",
            "verdict": artifact.verdict.upper() if not number else "",
            "condition": condition_of(finding.condition).title,
            "against": finding.against or "limit",
            "where": finding.group or "",
            "found": finding.verdict,
            "difference": _difference(finding),
            "needs images": f"{finding.needs_images:,}" if finding.needs_images else "",
        }
        for artifact in gate.artifacts
        for number, finding in enumerate(artifact.findings)
    ]


def gate_lines(result: RunResult) -> list[str]:
    """Say what the gate came to: each condition that was not met, and what to try."""
    gate = result.gate
    if gate is None:
        return [NO_GATE if _publishes(result) else UNASKED]
    lines = [f"Gate: {gate.verdict.upper()}{f': {gate.reason}' if gate.reason else ''}"]
    for artifact in gate.artifacts:
        unmet = [each for each in artifact.findings if each.verdict != "pass"]
        lines += [f"  {artifact.entry} ({artifact.made}): {artifact.verdict}"] if unmet else []
        lines += [f"    {each.verdict}: {each.text}" for each in unmet]
        advice = dict.fromkeys(each.advice for each in unmet if each.advice)
        lines += [f"    try: {each}" for each in advice]
    if gate.best:
        lines.append(f"  {gate.best} came nearest; it is kept as an artifact, not published.")
    return lines


def _publishes(result: RunResult) -> bool:
    """Tell whether the recipe of a run has a section `publish`."""
    return "publish" in (yaml.safe_load(result.recipe_text) or {})


def _difference(finding: Finding) -> str:
    found = finding.difference
    return f"{found.value:+.3f} ({found.low:+.3f} to {found.high:+.3f})" if found else ""
