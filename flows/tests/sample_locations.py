"""Sample runs of a localization: drawn images of a disc, and answers with noise from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sample_runs import CONTROL, PUPIL, VGG, Node, sample_run

from pupila import OutputSpec
from pupila.evaluation import Download, Evaluation, Latency, RuntimeCheck, Startup
from pupila.external import ExternalEvaluation, ExternalMetrics, ImageDisagreement
from pupila.fidelity import fidelity
from pupila.intervals import proportion
from pupila.shift.evaluation import Disagreement, ShiftEvaluation
from pupila.task import MetricSettings, methods_of
from pupila.testing import DISC, disc_dataset
from pupila_flows.report.predictions import paired_difference
from pupila_flows.results import (
    Check,
    DataSummary,
    Entry,
    ExternalResult,
    ExternalSet,
    RunResult,
    RuntimeResult,
)

LOCALIZATION = "localization"
TASK = methods_of(LOCALIZATION)
Floats = NDArray[np.float64]

TEACHER = replace(VGG, name="large", noise=0.004)
SMALL = replace(PUPIL, inputs=("large",), noise=0.006, config={"student": "mobile-xs"})
ALONE = replace(CONTROL, noise=0.02, config={})
INT8 = Node("pupil-int8", "quantize-int8", ("pupil",), 0.004, "tflite", 118_000, 1.7)
NODES = [
    *(TEACHER, SMALL, ALONE, INT8),
    replace(SMALL, name="pupil#8", repeats="pupil", control="control#8", seed=8),
    replace(ALONE, name="control#8", repeats="control", seed=8),
]


def located_run(folder: Path, nodes: Sequence[Node] = NODES, **changes: Any) -> RunResult:
    """Return a run over 40 drawn images, two of them without a disc, its answers in `folder`.

    A node's noise is a fraction of the image's sides. The control misses the first disc, and finds
    one where there is none.
    """
    images = disc_dataset(folder / "discs", images=40, absent=2, splits=("test",))
    truths, random = TASK.truths(images), np.random.default_rng(3)
    run = sample_run(folder, nodes, images=images.paths)
    answers: dict[str, Floats] = {}
    for node in nodes:
        answers[node.name] = _answers(node, answers, truths, random)
    entries = [_located(entry, answers, truths, folder) for entry in run.entries]
    settings: dict[str, Any] = {
        "name": "Optic disc, nightly",
        "recipe_path": "recipes/disc.yaml",
        "recipe_text": "name: Optic disc, nightly\ndata: {task: localization}\n",
        "entries": tuple(entries),
        "data": _data(run.data),
        "test_labels": (0,) * len(truths),
        "test_truths": tuple(
            tuple(None if np.isnan(value) else value for value in row) for row in truths.tolist()
        ),
    }
    return run.model_copy(update=settings | changes)


def _answers(
    node: Node, answers: dict[str, Floats], truths: Floats, random: np.random.Generator
) -> Floats:
    """Return the answers of its first parent, or the truth, with the node's own noise."""
    known = truths[:, :5].copy()
    known[np.isnan(known[:, 0]), :4] = 0.5, 0.5, 0.1, 0.1
    parents = [answers[name] for name in node.inputs if name in answers]
    own = (parents[0] if parents else known) + 0.0
    own[:, :2] += node.noise * random.standard_normal((len(own), 2))
    own[:, 2:4] *= 1 + 2 * node.noise * random.standard_normal((len(own), 2))
    if node.uses == ALONE.uses:
        missed, absent = np.argmax(truths[:, 4] == 1), np.argmax(truths[:, 4] == 0)
        own[missed, :2], own[absent, 4] = 1 - own[missed, :2], 0.9
    return own


def _located(entry: Entry, answers: dict[str, Floats], truths: Floats, folder: Path) -> Entry:
    """Return an entry whose evaluation is of its own answers."""
    own = answers[entry.name]
    path = folder / f"{entry.name}-located.npy"
    np.save(path, own)
    settings = MetricSettings(classes=(DISC,))
    metrics = partial(TASK.metrics, settings=settings)
    assert entry.evaluation and entry.record
    agreement = None
    if entry.reference:
        agreement = TASK.agreement(entry.reference, own, answers[entry.reference])
    evaluation = entry.evaluation.model_copy(
        update={
            "metrics": metrics(own, truths),
            "groups": {
                "site": {
                    "north": metrics(own[::2], truths[::2]),
                    "south": metrics(own[1::2], truths[1::2]),
                }
            },
            "agreement": agreement,
            "validation": proportion(38, 40),
            "probabilities": str(path),
        }
    )
    output = OutputSpec(task=LOCALIZATION, kind="coordinates", classes=(DISC,), size=(4,))
    record = entry.record.model_copy(update={"output": output, "measured": type(entry.measured)()})
    return entry.model_copy(update={"evaluation": evaluation, "record": record})


def _data(data: DataSummary) -> DataSummary:
    read = Check(name="Every image can be read", severity="error", passed=True, observed="40 of 40")
    return data.model_copy(
        update={
            "path": "data/discs",
            "task": LOCALIZATION,
            "classes": (DISC,),
            "positive": "",
            "counts": {"train": {DISC: 362}, "validation": {DISC: 75}, "test": {DISC: 40}},
            "checks": (read,),
        }
    )


def with_runtimes(run: RunResult) -> RunResult:
    """Return the run with `pupil-int8` checked in a browser."""
    size = Download(size_bytes=120_000, gzip_bytes=100_000, brotli_bytes=90_000)
    answers = answers_of(run, "pupil-int8")
    check = RuntimeCheck(
        runtime="LiteRT.js 2.5.3, wasm, Chromium 156",
        cpu="x86-64",
        images=40,
        agreement=TASK.agreement("litert", answers + 1e-4, answers),
        latency=Latency(median_ms=12.5, p95_ms=14, repeats=50, threads=2),
        peak_memory_bytes=None,
        startup=Startup(cold_start_ms=430, first_inference_ms=21, model=size, runtime=size),
    )
    outcome = RuntimeResult(runtime="litert-js", threads=None, check=check)
    return _changed(run, "pupil-int8", runtimes=(outcome,))


def with_external(run: RunResult) -> RunResult:
    """Return the run with every model evaluated on an external set: its own test images."""
    truths = np.array(run.test_truths, np.float64)
    teacher = answers_of(run, "large")
    for entry in run.entries:
        own = answers_of(run, entry.name)
        close = None
        if entry.reference:
            colours = np.random.default_rng(1).uniform(0, 255, (len(own), 3))
            numbers, same = (
                (TASK.comparable(own), TASK.comparable(teacher)),
                TASK.same(own, teacher),
            )
            close = fidelity("large", *numbers, same, colours=colours)
        disagreement = ImageDisagreement(
            path=run.test_images[0],
            truth=TASK.describe_truth(truths[0], (DISC,)),
            answer=TASK.describe(own[0], (DISC,)),
            other=TASK.describe(teacher[0], (DISC,)),
            probability=None,
            other_probability=None,
        )
        figures = ExternalMetrics(
            images=len(own),
            metrics=TASK.metrics(own, truths, MetricSettings(classes=(DISC,))),
            fidelity=close,
        )
        assert entry.evaluation
        evaluation = ExternalEvaluation(
            figures=figures,
            disagreements=(disagreement,) if close else (),
            probabilities=entry.evaluation.probabilities,
        )
        differences = {}
        if entry.reference:
            mine, theirs = (TASK.right(given, truths, (DISC,)) for given in (own, teacher))
            differences = {"accuracy": paired_difference(mine, theirs)}
        result = ExternalResult(name="clinic-b", evaluation=evaluation, differences=differences)
        run = _changed(run, entry.name, external=(result,))
    elsewhere = ExternalSet(
        name="clinic-b",
        path="clinic-b",
        fingerprint="-",
        images=len(truths),
        patients=None,
        counts={DISC: len(truths)},
    )
    return run.model_copy(update={"external": (elsewhere,)})


def with_shift(run: RunResult, shift: ShiftEvaluation) -> RunResult:
    """Return the run with `pupil-int8` compared with its teacher on altered images."""
    own, teacher = answers_of(run, "pupil-int8"), answers_of(run, "large")
    disagreement = Disagreement(
        row=0,
        probability=None,
        reference=None,
        answer=TASK.describe(own[0], (DISC,)),
        other=TASK.describe(teacher[0], (DISC,)),
    )
    given = {"reference": "large", "images": 40, "disagreements": (disagreement,)}
    return _changed(run, "pupil-int8", shift=shift.model_copy(update=given))


def answers_of(run: RunResult, name: str) -> Floats:
    """Return the answers of an entry."""
    return np.load(evaluation_of(run, name).probabilities)


def evaluation_of(run: RunResult, name: str) -> Evaluation:
    """Return the evaluation of an entry."""
    (evaluation,) = (entry.evaluation for entry in run.entries if entry.name == name)
    assert evaluation
    return evaluation


def _changed(run: RunResult, name: str, **changes: Any) -> RunResult:
    entries = tuple(
        entry.model_copy(update=changes) if entry.name == name else entry for entry in run.entries
    )
    return run.model_copy(update={"entries": entries})
