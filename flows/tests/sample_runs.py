"""Sample runs, every figure of which is computed from answers drawn with a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila import InputSpec, OutputSpec
from pupila.artifact import Origin, Record
from pupila.digest import digest_json
from pupila.evaluation import Cost, Evaluation, Latency
from pupila.intervals import proportion
from pupila.measured import Measured
from pupila.metrics import metrics_of
from pupila.plugin import CLASSIFICATION
from pupila.task import methods_of
from pupila_flows.gate.inputs import Images
from pupila_flows.results import Check, DataSummary, Entry, RunResult

BINARY = ("glaucoma", "normal")
FOUR = ("mild", "moderate", "none", "severe")
SPECIFICITY = 0.85
HOSTILE = '<script>alert("x")</script>&\'"'


@dataclass
class Node:
    """One entry of a sample run: how it was made, and how its answers differ from its parent's."""

    name: str
    uses: str
    inputs: tuple[str, ...] = ()
    noise: float = 0.3
    format: str = "tflite"
    size_bytes: int = 4_000_000
    median_ms: float = 9.0
    config: dict[str, Any] = field(default_factory=dict[str, Any])
    error: str | None = None
    evaluated: bool = True
    cached: bool = False
    seed: int | None = 7
    control: str | None = None
    repeats: str | None = None
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    taught: bool | None = None
    """Whether it learned from a teacher; None where its inputs tell."""
    compared: bool = True
    """Whether it is compared with the first teacher of the run."""
    measured: dict[str, Any] = field(default_factory=dict[str, Any])
    validation: float | None = 0.95
    """Accuracy on 100 validation images."""


VGG = Node("vgg16", "keras-h5", (), 1.45, "keras", 59_414_112, 212.0, cached=True)
XCEPTION = Node("xception", "keras-v3", (), 1.6, "keras", 84_002_210, 118.0, cached=True)
STUDENT = {"student": "mobile-xs", "epochs": 40, "temperature": 4.0}
PUPIL = Node(
    *("pupil", "distill", ("vgg16", "xception"), 0.7, "keras", 1_310_720, 14.2, STUDENT),
    control="control",
)
ALONE = {"student": "mobile-xs", "epochs": 40}
CONTROL = Node("control", "train", (), 2.1, "keras", 1_310_720, 14.1, ALONE)
TWELVE = [
    VGG,
    XCEPTION,
    Node("vgg16-float", "export-tflite", ("vgg16",), 0.01, "tflite", 59_392_004, 171.0),
    Node("vgg16-int8", "quantize-int8", ("vgg16-float",), 0.4, "tflite", 14_911_280, 61.0),
    PUPIL,
    CONTROL,
    Node(
        *("pupil-float", "export-tflite", ("pupil",), 0.01, "tflite", 1_265_120, 3.1),
        control="control-float",
    ),
    Node("control-float", "export-tflite", ("control",), 0.01, "tflite", 1_265_120, 3.1),
    Node("pupil-float16", "quantize-float16", ("pupil-float",), 0.02, "tflite", 640_300, 3.2),
    Node("pupil-dynamic", "quantize-dynamic", ("pupil-float",), 0.2, "tflite", 352_840, 4.9),
    Node(
        *("pupil-int8", "quantize-int8", ("pupil-float",), 0.3, "tflite", 361_416, 1.7),
        control="control-int8",
    ),
    Node(
        *("pupil-int4", "quantize-int4", ("pupil-float",), 5.0, "tflite", 190_112, 2.4),
        validation=0.7,
    ),
    Node("pupil-web", "export-tfjs", ("pupil",), 0.02, "tfjs", 1_322_900, 22.8),
    Node("control-int8", "quantize-int8", ("control-float",), 0.3, "tflite", 361_416, 1.7),
]

NODES_OF_SHIFT = [node for node in TWELVE if node.name in {"vgg16", "pupil", "control"}] + [
    Node("pupil-int8", "quantize-int8", ("pupil",), 0.3, "tflite", 361_416, 1.7)
]


def sample_run(
    folder: Path,
    nodes: Sequence[Node] = TWELVE,
    *,
    classes: tuple[str, ...] = BINARY,
    positive: str = "glaucoma",
    images: Sequence[Path] = (),
    groups: bool = True,
    **changes: Any,
) -> RunResult:
    """Return a run over `images` (107 made-up paths without), its predictions in `folder`."""
    random = np.random.default_rng(20)
    paths = [str(path) for path in images] or [f"images/test/{row:03d}.jpg" for row in range(107)]
    truth = np.sort(random.integers(0, len(classes), len(paths)))
    logits: dict[str, NDArray[np.float64]] = {}
    entries: list[Entry] = []
    probabilities: dict[str, NDArray[np.float64]] = {}
    for node in nodes:
        logits[node.name] = _logits(node, logits, truth, len(classes), random)
        probabilities[node.name] = _softmax(logits[node.name])
        entries.append(_entry(node, nodes, probabilities, truth, classes, positive, groups, folder))
    settings: dict[str, Any] = {
        "name": "Glaucoma, nightly",
        "recipe_path": "recipes/glaucoma nightly.yaml",
        "recipe_text": "name: Glaucoma, nightly\nteachers:\n  vgg16: {model: vgg16_nested.h5}\n",
        "seed": 7,
        "synthetic": False,
        "started": "2026-11-25T01:25:30+00:00",
        "seconds": 754.2,
        "data": _data(classes, positive, truth),
        "entries": tuple(entries),
        "specificity": SPECIFICITY,
        "machine": "x86-64, 2 cores, 8.2 GB, Linux",
        "versions": {"pupila-core": "0.1.0", "keras": "3.15.1", "ai-edge-litert": "2.3.0"},
        "test_images": tuple(paths),
        "test_labels": tuple(int(label) for label in truth),
    }
    return RunResult(**settings | changes)


def gate_images(run: RunResult) -> Images:
    """Return the test images as the gate is given them; in a sample they are the validation too."""
    return Images(fingerprint="-", paths=run.test_images, labels=run.test_labels)


def _logits(
    node: Node,
    logits: dict[str, NDArray[np.float64]],
    truth: NDArray[np.int64],
    classes: int,
    random: np.random.Generator,
) -> NDArray[np.float64]:
    """Return the mean of what its parents answer, or the truth, with the node's own noise."""
    parents = [logits[name] for name in node.inputs if name in logits]
    known: NDArray[np.float64] = 3.5 * np.eye(classes)[truth]
    if parents:
        known = np.stack(parents).mean(axis=0)
    return known + node.noise * random.standard_normal((len(truth), classes))


def _softmax(values: NDArray[np.float64]) -> NDArray[np.float64]:
    exponents: NDArray[np.float64] = np.exp(values - values.max(axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True)


def _entry(
    node: Node,
    nodes: Sequence[Node],
    probabilities: dict[str, NDArray[np.float64]],
    truth: NDArray[np.int64],
    classes: tuple[str, ...],
    positive: str,
    groups: bool,
    folder: Path,
) -> Entry:
    is_teacher = node.uses.startswith("keras-")
    teacher = next((node.name for node in nodes if node.uses.startswith("keras-")), node.name)
    evaluation = None
    if node.evaluated:
        answered = probabilities[node.name]
        referred = node.compared and not is_teacher
        reference = (teacher, probabilities[teacher]) if referred else None
        evaluation = _evaluation(
            node, answered, truth, classes, positive, folder, reference, groups
        )
    return Entry(
        name=node.name,
        kind="teacher" if is_teacher else "step",
        uses=node.uses,
        inputs=node.inputs,
        config=node.config,
        artifact=digest_json(node.name),
        record=_record(node, classes),
        evaluation=evaluation,
        cached=node.cached,
        seconds=0 if node.cached else 12.5,
        error=node.error,
        seed=None if is_teacher else node.seed,
        control=node.control,
        repeats=node.repeats,
        settings=node.settings,
        reference=teacher if node.compared and not is_teacher else None,
        taught=_is_taught(node, {node.name: node for node in nodes}),
    )


def _is_taught(node: Node, nodes: dict[str, Node]) -> bool:
    parents = [nodes[name] for name in node.inputs if name in nodes]
    known = any(node.uses.startswith("keras-") or _is_taught(node, nodes) for node in parents)
    return known if node.taught is None else node.taught


def _record(node: Node, classes: tuple[str, ...]) -> Record:
    return Record(
        format=node.format,
        files={f"model.{node.format}": digest_json([node.name, "file"])},
        input=InputSpec(height=224, width=224),
        output=OutputSpec(kind="softmax", classes=classes),
        parameters=node.size_bytes // 4,
        origin=Origin(
            plugin=node.uses,
            distribution=f"dist-{node.uses.split('-')[0]}",
            version=f"0.1.{len(node.name)}",
            seed=node.seed,
        ),
        measured=Measured(
            {"validation_accuracy": 0.953, "loss": [0.69, 0.41, 0.33]}, node.measured
        ),
    )


def _evaluation(
    node: Node,
    answered: NDArray[np.float64],
    truth: NDArray[np.int64],
    classes: tuple[str, ...],
    positive: str,
    folder: Path,
    reference: tuple[str, NDArray[np.float64]] | None,
    groups: bool,
) -> Evaluation:
    path = folder / f"{digest_json(node.name)}.npy"
    np.save(path, answered)

    def figures_of(rows: NDArray[np.int64]) -> Any:
        column = positive or classes[0]
        metrics = metrics_of(answered[rows], truth[rows], classes, column, SPECIFICITY)
        return metrics if positive else metrics.model_copy(update={"operating_points": ()})

    every = np.arange(len(truth))
    return Evaluation(
        artifact=digest_json(node.name),
        format=node.format,
        runtime={"keras": "Keras 3.15.1, TensorFlow 2.19.0", "tfjs": "TF.js 4.22.0, WASM"}.get(
            node.format, "LiteRT 2.3.0, XNNPACK"
        ),
        cpu="A processor at 2.6 GHz",
        split="test",
        metrics=figures_of(every),
        validation=None
        if node.validation is None
        else proportion(round(100 * node.validation), 100),
        groups={"site": {"north": figures_of(every[::2]), "south": figures_of(every[1::2])}}
        if groups
        else {},
        agreement=methods_of(CLASSIFICATION).agreement(reference[0], answered, reference[1])
        if reference
        else None,
        cost=Cost(
            size_bytes=node.size_bytes,
            gzip_bytes=int(node.size_bytes * 0.91),
            parameters=node.size_bytes // 4,
            macs=node.size_bytes * 60,
            latency=Latency(
                median_ms=node.median_ms, p95_ms=node.median_ms * 1.3, repeats=50, threads=2
            ),
            peak_memory_bytes=180_000_000 + 3 * node.size_bytes,
        ),
        probabilities=str(path),
        validation_probabilities=str(path),
    )


def _data(classes: tuple[str, ...], positive: str, truth: NDArray[np.int64]) -> DataSummary:
    per_class = {name: int((truth == row).sum()) for row, name in enumerate(classes)}
    more = {name: 5 * count for name, count in per_class.items()}
    return DataSummary(
        path="data/glaucoma",
        fingerprint=digest_json("data"),
        classes=classes,
        positive=positive,
        counts={"train": more, "validation": per_class, "test": per_class},
        checks=(
            Check(
                name="Every image can be read", severity="error", passed=True, observed="705 of 705"
            ),
            Check(
                name="Mean colour does not tell the classes apart",
                severity="warning",
                passed=False,
                observed="Mean colour alone separates the classes with AUC 0.90.",
                shortcut=True,
                advice="Use colour augmentation, and test on images of another camera.",
            ),
            Check(
                name="No two images are nearly alike across splits",
                severity="warning",
                passed=False,
                observed="2 pairs",
                advice="Put them into one split.",
                images=("train/Im310.jpg", "test/Im002.jpg"),
            ),
        ),
        data_docs=None,
    )
