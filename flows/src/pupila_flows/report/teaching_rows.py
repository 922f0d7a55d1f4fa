"""What several seeds and controls came to, as rows of text for the terminal."""

from __future__ import annotations

from pathlib import Path

from pupila_flows.report import formatting as formats
from pupila_flows.report.predictions import read_answers
from pupila_flows.report.sections.gains import gains
from pupila_flows.report.sections.seeds import seed_table
from pupila_flows.results import RunResult


def seed_rows(result: RunResult, folder: Path) -> list[dict[str, str]]:
    """Return one row per artifact with its figures over all seeds; none where there is one seed.

    `folder` is where relative paths of predictions are understood from.
    """
    return [
        {
            "over seeds": row.name,
            "seeds": row.seeds,
            "accuracy": row.accuracy,
            "95 % interval": row.interval,
            "lowest–highest": row.range,
            "AUC": row.auc,
        }
        for row in seed_table(result, read_answers(result, folder))
    ]


def gain_rows(result: RunResult, folder: Path) -> list[dict[str, str]]:
    """Return one row per pupil that has a control: what its teacher is worth, in points."""
    return [
        {
            "what the teacher adds": gain.pupil,
            "control": gain.control,
            "points": formats.points(gain.value),
            "95 % interval": formats.points_interval(gain.difference) if gain.difference else "",
            "shown": {"gain": "a gain", "loss": "a loss", "nothing": "no gain"}[gain.shown],
        }
        for gain in gains(result.entries, read_answers(result, folder))
    ]
