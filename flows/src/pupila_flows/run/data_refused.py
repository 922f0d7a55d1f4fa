"""The error of a run whose data does not meet its expectations."""

from __future__ import annotations

from pupila.errors import PupilaError
from pupila_flows.report.terminal import check_lines
from pupila_flows.results import DataSummary


class DataRefused(PupilaError):
    """The data does not meet its expectations, so the run stops before training."""

    def __init__(self, summary: DataSummary) -> None:
        self.summary = summary
        failed = [c for c in summary.checks if not c.passed and c.severity == "error"]
        lines = ["The data does not meet its expectations; nothing was trained."]
        lines += [line for check in failed for line in check_lines(check)]
        super().__init__("\n".join([*lines, f"Data Docs: {summary.data_docs}"]))
