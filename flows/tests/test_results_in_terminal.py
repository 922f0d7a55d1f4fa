"""What `pupila run` prints in the end fits a terminal, and says where everything is."""

from __future__ import annotations

from pathlib import Path

import pytest
from publishable_runs import publishable_run, read_run

from pupila_flows.cli.results import print_result
from pupila_flows.run.links import link_artifacts
from pupila_flows.workspace import Workspace


@pytest.fixture
def run(tmp_path: Path) -> Path:
    made = publishable_run(tmp_path)
    link_artifacts(Workspace.at(tmp_path / ".pupila"), read_run(made), made)
    return made


def printed(run: Path, capsys: pytest.CaptureFixture[str], *, wide: bool = False) -> list[str]:
    print_result(read_run(run), run / "result.json", wide=wide)
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_the_first_table_has_what_matters_and_fits_a_terminal(
    run: Path, capsys: pytest.CaptureFixture[str]
):
    lines = printed(run, capsys)
    head = next(number for number, line in enumerate(lines) if line.startswith("name "))
    titles = ("name", "made by", "size", "accuracy", "AUC", "median ms", "verdict")
    assert lines[head].split() == " ".join(titles).split()
    int8 = next(line for line in lines[head:] if line.startswith("int8 "))
    assert int8.endswith("PASS")
    assert max(map(len, lines[head : head + 4])) < 140


def test_all_columns_are_there_if_they_are_asked_for(run: Path, capsys: pytest.CaptureFixture[str]):
    lines = printed(run, capsys, wide=True)
    (head,) = [line for line in lines if line.startswith("name ")]
    assert "sensitivity" in head and "gzip MB" in head


def test_the_last_lines_say_where_models_figures_and_report_are(
    run: Path, capsys: pytest.CaptureFixture[str]
):
    lines = printed(run, capsys)
    assert f"Models:  {run}/{{pupil,int8}}" in lines
    assert f"Figures: {run / 'result.json'}" in lines
    assert f"Report:  {run / 'report.html'}" in lines
    (run / "pupil").unlink()
    assert f"Model:   {run / 'int8'}" in printed(run, capsys)
