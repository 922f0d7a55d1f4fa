"""The result of a run, for notebooks: tables, paths and a page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from pupila.errors import PupilaError, join_names, nearest
from pupila_flows.api import html
from pupila_flows.api.tables import cost_columns, estimate_columns, metrics_columns
from pupila_flows.api.workspace import PathLike
from pupila_flows.report.past_runs import read_result
from pupila_flows.report.terminal import gate_lines, result_rows, summary_rows
from pupila_flows.report.verdict import headline_lines
from pupila_flows.results import Entry, Finding, RunResult, Verdict


class Result:
    """The result of a run; a notebook shows its headline, its models and the gate's verdict."""

    def __init__(self, path: Path, details: RunResult) -> None:
        self.path = path
        """Folder of the run."""
        self.details = details
        """Everything in `result.json`."""

    @classmethod
    def read(cls, folder: PathLike) -> Result:
        """Read the result in the folder of a run.

        Raises:
            PupilaError: there is none, or it is damaged or of another version.
        """
        path = Path(folder).resolve()  # `latest` may soon be another run
        try:
            return cls(path, read_result(path))
        except OSError as error:
            raise PupilaError(
                f"No result of a run in {os.fspath(folder)!r} ({error.strerror}): give the folder "
                f"of a finished run, as in '.pupila/runs/clinic/latest'."
            ) from None

    @property
    def name(self) -> str:
        return self.details.name

    @property
    def verdict(self) -> Verdict | None:
        """Verdict of the gate: `pass`, `fail` or `inconclusive`; None if the recipe has no gate."""
        return self.details.gate.verdict if self.details.gate else None

    @property
    def passed(self) -> bool:
        """Whether the gate lets the models be published; False without a gate."""
        return self.verdict == "pass"

    @property
    def withheld(self) -> str | None:
        """Why nothing is published, in one sentence; None if no reason is known."""
        return self.details.withheld

    @cached_property
    def headline(self) -> str:
        """What the run has shown, in one sentence."""
        return self._headline[0]

    @property
    def report(self) -> Path | None:
        """The page with everything; None if it could not be drawn."""
        page = self.path / "report.html"
        return page if page.exists() else None

    @property
    def paths(self) -> dict[str, Path]:
        """Folder of each model that was made, by name, the teachers' included."""
        made = [entry.name for entry in self.details.entries if entry.artifact]
        return {name: self.path / name for name in made if (self.path / name).exists()}

    def model_path(self, name: str) -> Path:
        """Return the folder of a model.

        Raises:
            PupilaError: the run made no model of that name.
        """
        paths = self.paths
        if name not in paths:
            raise PupilaError(
                f"The run of {self.name} has no model {name!r}.{nearest(name, paths)} It has "
                f"{join_names(paths)}."
            )
        return paths[name]

    @cached_property
    def models(self) -> pd.DataFrame:
        """One row per teacher and model, by name, with figures on the test images.

        Accuracies and the like are fractions; `x_low` and `x_high` are the 95 % interval of `x`.
        Columns that this run has no values for are left out.
        """
        verdicts = {artifact.entry: artifact.verdict for artifact in self._verdicts}
        rows = [_model_row(entry, verdicts.get(entry.name)) for entry in self.details.entries]
        return pd.DataFrame(rows).set_index("name")

    @cached_property
    def gate(self) -> pd.DataFrame:
        """One row per model and condition of the gate; empty without a gate."""
        rows = [
            _finding_row(artifact.entry, finding)
            for artifact in self._verdicts
            for finding in artifact.findings
        ]
        return pd.DataFrame(rows, columns=_GATE_COLUMNS)

    @property
    def warnings(self) -> list[str]:
        """What a reader of the figures should know, as sentences."""
        details = self.details
        of_models = [
            f"{entry.name}: {warning}"
            for entry in details.entries
            for warning in (entry.evaluation.warnings if entry.evaluation else ())
        ]
        failed = [check for check in details.data.checks if not check.passed]
        checks = [f"Data check not met: {check.name}: {check.observed}." for check in failed]
        synthetic = ["The images are synthetic."] if details.synthetic else []
        return [*synthetic, *details.unproven, *checks, *of_models]

    @property
    def _verdicts(self) -> Sequence[Any]:
        return self.details.gate.artifacts if self.details.gate else ()

    @cached_property
    def _headline(self) -> list[str]:
        return headline_lines(self.details, self.path)

    @property
    def _places(self) -> list[str]:
        report = self.report
        return [f"Models: {self.path}", *([f"Report: {report}"] if report else [])]

    def __repr__(self) -> str:
        lines = [f"Run of {self.name}: {self.headline}", *self._places]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        title, *sentences = self._headline
        gate = [] if self.details.sweep else gate_lines(self.details)
        warned = [f"Warning: {text}" for text in self.warnings]
        rows = result_rows(self.details) if self.details.sweep else summary_rows(self.details)
        return str(
            html.heading(title)
            + html.paragraphs([*filter(None, sentences), *warned])
            + html.table(rows)
            + html.paragraphs([*gate, *self._places])
        )


class RunFailed(RuntimeError):
    """A part of a run failed; everything else is in `result`.

    The message has a sentence for each failure, as the command line prints them.
    """

    def __init__(self, result: Result, failures: Sequence[str]) -> None:
        super().__init__("\n".join(failures))
        self.result = result


def _model_row(entry: Entry, verdict: Verdict | None) -> dict[str, Any]:
    evaluation, measured = entry.evaluation, entry.evaluation or entry.measurement
    return {
        "name": entry.name,
        "kind": entry.kind,
        "made_by": entry.uses,
        "made_from": ", ".join(entry.inputs),
        **({"repeats": entry.repeats} if entry.repeats else {}),
        **entry.settings,
        **(cost_columns(measured) if measured else {}),
        **(metrics_columns(evaluation.metrics) if evaluation else {}),
        "verdict": verdict,
        "error": entry.error,
    }


_GATE_COLUMNS = (
    *("model", "condition", "against", "where", "verdict", "value", "other"),
    *("difference", "difference_low", "difference_high", "limit", "p_value", "text", "advice"),
)


def _finding_row(model: str, finding: Finding) -> dict[str, Any]:
    return {
        "model": model,
        "condition": finding.condition,
        "against": finding.against,
        "where": finding.group or finding.external,
        "verdict": finding.verdict,
        "value": finding.value,
        "other": finding.other,
        **estimate_columns("difference", finding.difference),
        "limit": finding.limit,
        "p_value": finding.p_value,
        "text": finding.text,
        "advice": finding.advice,
    }
