"""Sections of the report that packages add: drawn, escaped, and without anything that could run."""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sample_runs import PUPIL, VGG, sample_run

from pupila.measured import Measured, MicrocontrollerMemory
from pupila.testing import plugin_installed
from pupila_flows.jobs.report import DrawReport
from pupila_flows.report.page import render
from pupila_flows.results import RunResult
from pupila_flows.workspace import Workspace

PLUGIN = """
from pydantic import Field

from pupila import Drawing, MeasuredSection, ReportSection, hookimpl
from pupila.measured import MeasuredFields


class Energy(MeasuredFields):
    millijoules: float = Field(description="Energy of one image.")

    def drawing(self):
        width = 10 * self.millijoules
        return Drawing(
            lead="Measured <on> a phone.",
            columns=("Part", "mJ"),
            rows=[("<b>all</b>", f"{self.millijoules:.1f}")],
            svg=f'<svg viewBox="0 0 100 10"><rect width="{width}" height="8" class="bar"/></svg>',
        )


def carbon(run):
    return Drawing(data={"name": run.result["name"] + " <i>", "entries": run.entries})


@hookimpl
def pupila_sections():
    yield MeasuredSection(
        name="energy",
        summary="Energy of one image",
        title="Energy & heat",
        implementation=f"{__name__}:Energy",
    )
    yield ReportSection(
        name="carbon",
        summary="Carbon of the run",
        title="Carbon of the run",
        implementation=f"{__name__}:carbon",
        template="their_pages:carbon.html",
    )
"""
TEMPLATE = """<p>{{ name }}: {% for entry in entries %}<b>{{ entry.name }}</b>
{{ '%.3f' % entry.evaluation.metrics.accuracy.value }} {% endfor %}</p>"""


@contextmanager
def installed_in(
    folder: Path, code: str = PLUGIN, template: str = TEMPLATE, version: str = "1.0"
) -> Generator[None]:
    pages = folder / "their_pages"
    pages.mkdir(parents=True)
    (pages / "__init__.py").touch()
    (pages / "carbon.html").write_text(template)
    with plugin_installed(folder, "energy-for-pupila", "their_sections", code, version):
        try:
            yield
        finally:
            import sys

            sys.modules.pop("their_pages", None)


def run_with(folder: Path, measured: Measured) -> RunResult:
    run = sample_run(folder, [VGG, PUPIL])
    teacher, pupil = run.entries
    assert pupil.record
    record = pupil.record.model_copy(update={"measured": measured})
    return run.model_copy(
        update={"entries": (teacher, pupil.model_copy(update={"record": record}))}
    )


def sections(page: str) -> dict[str, str]:
    return dict(re.findall(r'<section id="added-([a-z-]+)">(.*?)</section>', page, re.DOTALL))


def test_measured_values_of_a_package_draw_themselves(tmp_path: Path):
    with installed_in(tmp_path / "path"):
        known = sections(render(run_with(tmp_path, Measured({"millijoules": 3.5})), tmp_path))
    energy = known["energy"]
    assert "<h2>Energy &amp; heat</h2>" in energy and "<h3>pupil</h3>" in energy
    assert "Measured &lt;on&gt; a phone." in energy
    assert '<th scope="row">&lt;b&gt;all&lt;/b&gt;</th><td class="number">3.5</td>' in energy
    assert '<rect width="35.0" height="8" class="bar"></rect></svg>' in energy
    assert "Of the package energy-for-pupila 1.0." in energy


def test_a_section_fills_its_template_with_the_results_of_the_run(tmp_path: Path):
    run = run_with(tmp_path, Measured())
    with installed_in(tmp_path / "path"):
        known = sections(render(run, tmp_path))
    assert set(known) == {"carbon"}, "nothing was measured, so nothing is drawn"
    assert "Glaucoma, nightly &lt;i&gt;: <b>vgg16</b>" in known["carbon"]
    accuracy = run.entries[1].evaluation
    assert accuracy and f"{accuracy.metrics.accuracy.value:.3f}" in known["carbon"]


def test_the_memory_of_a_microcontroller_comes_in_by_the_same_door(tmp_path: Path):
    memory = MicrocontrollerMemory(
        operators={}, flash_bytes=40_960, arena_bytes=9000, activation_bytes=1, persistent_bytes=2
    )
    known = sections(render(run_with(tmp_path, Measured(memory)), tmp_path))
    assert "40,960" in known["microcontroller-memory"]
    assert "Of the package pupila-micro" in known["microcontroller-memory"]


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("<script>alert(1)</script>", "&lt;script&gt; is not allowed"),
        ("<p onclick='alert(1)'>x</p>", "&lt;p onclick="),
        ("{{ missing }}", "UndefinedError: &#39;missing&#39; is undefined"),
        ("{{ ''.__class__.__mro__ }}", "SecurityError"),
        ("</section><p>x</p>", "&lt;/section&gt; ends an element that is not open there"),
    ],
)
def test_a_section_that_is_refused_says_so_and_the_rest_is_shown(
    tmp_path: Path, template: str, words: str
):
    with installed_in(tmp_path / "path", template=template):
        page = render(run_with(tmp_path, Measured({"millijoules": 3.5})), tmp_path)
    known = sections(page)
    assert "✕ cannot be drawn" in known["carbon"] and words in known["carbon"]
    assert "3.5" in known["energy"] and 'id="results"' in page
    assert "alert(1)</script>" not in page and page.count("<script") == 1


def test_code_of_a_package_that_fails_stops_no_report(tmp_path: Path):
    broken = PLUGIN.replace('run.result["name"]', 'run.result["nom"]')
    with installed_in(tmp_path / "path", broken):
        known = sections(render(run_with(tmp_path, Measured()), tmp_path))
    assert "KeyError: &#39;nom&#39;" in known["carbon"]


def test_rows_of_another_length_are_refused(tmp_path: Path):
    broken = PLUGIN.replace('columns=("Part", "mJ")', 'columns=("Part",)')
    with installed_in(tmp_path / "path", broken):
        known = sections(render(run_with(tmp_path, Measured({"millijoules": 1.0})), tmp_path))
    assert "has 2 cells, expected 1." in known["energy"]


def test_another_version_of_a_section_draws_the_report_again(tmp_path: Path):
    workspace, keys = Workspace(tmp_path / "workspace"), set[str]()
    for version in ("1.0", "1.1"):
        with installed_in(tmp_path / version, version=version):
            keys.add(DrawReport.of(workspace, tmp_path / "result.json", "content").key)
    assert len(keys) == 2
