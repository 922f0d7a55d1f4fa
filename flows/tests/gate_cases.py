"""Questions to the gate, of models whose answers are made up."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sample_runs import BINARY, SPECIFICITY

from pupila.artifact import Threshold, ThresholdRule
from pupila.evaluation import Cost, Estimate, Evaluation, Latency
from pupila.intervals import proportion
from pupila.metrics import metrics_of
from pupila.shift import SEVERITIES, Severity
from pupila.shift.evaluation import Disagreement, ShiftEvaluation, ShiftFamily, ShiftMetrics
from pupila_flows.gate.inputs import Case, GateInputs, GateModel, Images, Incumbent
from pupila_flows.recipe.gate import GateSection, Margins
from pupila_flows.results import Finding, GateResult

Floats = NDArray[np.float64]
ACCURACY = Margins(accuracy=0.05)
IMAGES = 200
LABELS: NDArray[np.int64] = np.arange(IMAGES) % 2

RULE = ThresholdRule(
    figure="sensitivity",
    target=0.95,
    split="validation",
    images="validation",
    positives=IMAGES // 2,
    others=IMAGES // 2,
)
SPLIT = Images(
    fingerprint="validation",
    paths=tuple(f"{row}.png" for row in range(IMAGES)),
    labels=tuple(LABELS.tolist()),
    columns={"site": tuple("north" if row < 180 else "south" for row in range(IMAGES))},
)
TEST = SPLIT.model_copy(update={"fingerprint": "test"})


def scores_with_errors(wrong: int, first: int = 0, probability: float = 0.9) -> Floats:
    """Answers that are wrong for so many images, from the `first` on."""
    right = np.full(IMAGES, probability)
    right[first : first + wrong] = 1 - probability
    scores = np.empty((IMAGES, 2))
    scores[np.arange(IMAGES), LABELS] = right
    scores[np.arange(IMAGES), 1 - LABELS] = 1 - right
    return scores


def _accuracy(scores: Floats) -> Estimate:
    return proportion(int((scores.argmax(axis=1) == LABELS).sum()), IMAGES)


def shift_figures(
    value: float, low: float, high: float, validation: float | None = None, images: int = 24
) -> ShiftEvaluation:
    """What the shift suite says of a model: worst of hue."""

    def step(severity: Severity | None, fidelity: float) -> ShiftMetrics:
        return ShiftMetrics(
            severity=severity,
            images=images,
            accuracy=0.9,
            reference_accuracy=0.95,
            auc=0.92,
            reference_auc=0.97,
            fidelity=fidelity,
            agreement=0.9,
            mean_difference=-0.2,
        )

    def family(name: str, fidelity: float) -> ShiftFamily:
        steps = [
            step(severity, fidelity - 0.1 * row) for row, severity in enumerate(SEVERITIES, -1)
        ]
        return ShiftFamily(name=name, steps=tuple(steps))

    chosen_by = None
    if validation is not None:
        chosen_by = Estimate(value=validation, low=validation, high=validation, method="-")
    return ShiftEvaluation(
        reference="teacher",
        runtime="litert",
        split="test",
        seed=0,
        images=images,
        value=Estimate(value=value, low=low, high=high, method="percentile bootstrap"),
        validation=chosen_by,
        unaltered=step(None, 0.99),
        families=(family("hue", value - 0.3), family("blur", value)),
        disagreements=(Disagreement(row=0, probability=0.2, reference=0.9),),
    )


FAITHFUL = shift_figures(0.95, 0.93, 0.97)


@dataclass(frozen=True)
class GateModels:
    """Makes models with given predictions, the same on the validation images unless given."""

    folder: Path

    def __call__(
        self,
        name: str,
        scores: Floats,
        size_bytes: int = 1000,
        locked: bool = True,
        shipped: float | None = None,
        rule: ThresholdRule | None = RULE,
        validation: Floats | None = None,
        positive: str = "glaucoma",
        shift: ShiftEvaluation | None = FAITHFUL,
    ) -> GateModel:
        chosen_by = scores if validation is None else validation
        path, other = self.folder / f"{name}.npy", self.folder / f"{name}-validation.npy"
        np.save(path, scores)
        np.save(other, chosen_by)
        seen = (chosen_by, LABELS) if locked else None
        latency = Latency(median_ms=5, p95_ms=6, repeats=50, threads=2)
        cost = Cost(
            size_bytes=size_bytes,
            gzip_bytes=900,
            parameters=None,
            macs=None,
            latency=latency,
            peak_memory_bytes=None,
        )
        evaluation = Evaluation(
            artifact=name,
            format="tflite",
            runtime="LiteRT",
            cpu="one",
            cost=cost,
            split="test",
            metrics=metrics_of(scores, LABELS, BINARY, "glaucoma", SPECIFICITY, seen),
            validation=_accuracy(chosen_by) if locked else None,
            probabilities=str(path),
            validation_probabilities=str(other) if locked else None,
        )
        threshold = None
        if shipped is not None:
            threshold = Threshold(
                positive=positive, value=shipped, chosen_on="validation", rule=rule
            )
        return GateModel(name=name, evaluation=evaluation, threshold=threshold, shift=shift)


def gate_inputs(
    section: GateSection,
    artifact: GateModel | None,
    teacher: GateModel | None,
    *incumbents: Incumbent,
) -> GateInputs:
    case = Case(
        entry="int8",
        made="quantize-int8 of float",
        artifact=artifact,
        teacher=teacher,
        incumbents=incumbents,
    )
    return GateInputs(
        section=section,
        specificity=SPECIFICITY,
        cases=(case,),
        published="version 2" if incumbents else None,
        classes=BINARY,
        positive="glaucoma",
        test=TEST,
        validation=SPLIT,
    )


def incumbent(
    artifact: GateModel | None, role: Literal["published", "anchor"] = "published"
) -> Incumbent:
    number = {"published": 2, "anchor": 1}[role]
    known = Incumbent(
        role=role, title=f"version {number}", names=("left-int8", "web"), artifact=None
    )
    if artifact is None:
        return known
    named = artifact.model_copy(update={"name": known.called})
    return known.model_copy(update={"artifact": named})


def findings_of(result: GateResult) -> tuple[Finding, ...]:
    """What was found of the one artifact, but for what is asked of every model."""
    (artifact,) = result.artifacts
    always = {"chance", "fidelity"}
    return tuple(finding for finding in artifact.findings if finding.condition not in always)


def only_finding(result: GateResult) -> Finding:
    (finding,) = findings_of(result)
    return finding
