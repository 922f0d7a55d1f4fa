"""The kinds of plugins that `pupila new plugin` writes, each with a template that works."""

from __future__ import annotations

from dataclasses import dataclass

_KERAS = ("keras>=3.15", "tensorflow")


@dataclass(frozen=True)
class Kind:
    """A kind of plugin: what its template needs, and how a recipe or the command line uses it."""

    name: str
    title: str
    use: str
    imports: tuple[str, ...]
    """What the module of descriptors imports from `pupila`."""
    requires: tuple[str, ...] = ()
    """Requirements besides `pupila-core`."""
    test_requires: tuple[str, ...] = ()
    more_files: tuple[str, ...] = ()
    """Names of further modules."""


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "technique",
            "a technique",
            "`use: …` in a step of a recipe",
            ("ANY_TASK", "Config", "Technique"),
            _KERAS,
            ("pupila-keras",),
        ),
        Kind(
            "exporter",
            "an exporter with its runner",
            "`use: export-…`; the runner evaluates what it writes",
            ("ANY_TASK", "Exporter", "Runner"),
            ("ai-edge-litert",),
            ("pupila-keras", "pupila-tflite"),
            ("runner",),
        ),
        Kind("student", "a student", "`student: …`", ("Student",), _KERAS, ("pupila-keras",)),
        Kind(
            "loader",
            "a loader",
            "reads model files that users bring as teachers",
            ("Loader",),
            _KERAS,
            ("pupila-keras",),
        ),
        Kind("metric", "a metric", "`gate.margins: {…: 0.05}`", ("Metric",)),
        Kind("condition", "a condition of the gate", "`gate.limits: {…: 20}`", ("GateCondition",)),
        Kind("section", "a section of the report", "drawn in every report", ("ReportSection",)),
        Kind(
            "check",
            "a check of the images",
            "`data.expectations.checks: {…: {maximum: 2000}}`",
            ("Config", "DataCheck"),
        ),
        Kind(
            "image",
            "a format of images",
            "files of it are read wherever images are",
            ("ImageFormat",),
        ),
        Kind("reader", "a reader of data sets", "`data: {path: images.jsonl}`", ("DatasetReader",)),
        Kind("shift", "a family of alterations", "`shift.families: […]`", ("Shift",)),
        Kind("command", "a command", "`pupila …`", ("Command",), ("typer",)),
    )
}
"""All kinds, by the name that `--kind` takes."""
