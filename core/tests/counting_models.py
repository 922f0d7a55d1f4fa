"""Models of a format of their own, whose runner counts what is computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pupila.artifact import Artifact, Origin
from pupila.spec import InputSpec, OutputKind, OutputSpec
from pupila.store import Store
from pupila.testing import CLASSES

INPUT = InputSpec(height=16, width=16)
COUNTING_RUNNER = '''
"""Logits by mean colour; each opening, and each image, leaves a line in `log.txt`."""
from pathlib import Path
import numpy as np
from pupila import Runner, hookimpl

@hookimpl
def pupila_runners():
    yield Runner(
        name="counting",
        summary="Tells classes apart by mean colour",
        implementation=f"{__name__}:Opened",
        format="counted",
    )


class Opened:
    runtime = "numpy"

    def __init__(self, artifact, threads):
        self.weights = np.load(artifact.path / "model.npy")
        self.log = Path((artifact.path / "log.txt").read_text())
        self.note("opened")

    def note(self, line):
        with self.log.open("a") as stream:
            stream.write(line + "\\n")

    def predict(self, images, progress):
        for number, _ in enumerate(images):
            self.note("image")
            progress(number + 1, len(images), "images")
        return (images.mean(axis=(1, 2)) @ self.weights).astype(np.float32)

    def latency_ms(self, image, repeats):
        return [0.0] * repeats

    def peak_memory_bytes(self):
        return 0

    def close(self):
        self.note("closed")
'''


def model(
    tmp_path: Path,
    log: Path,
    *,
    classes: tuple[str, ...] = CLASSES,
    kind: OutputKind = "logits",
    seed: int = 0,
) -> Artifact:
    output = OutputSpec(kind=kind, classes=classes)
    store = Store(tmp_path / "store")
    with store.draft() as folder:
        np.save(folder / "model.npy", np.random.default_rng(seed).normal(0, 0.02, (3, 2)))
        (folder / "log.txt").write_text(str(log))
        origin = Origin(plugin="counting", distribution="counting-test", version="1", seed=seed)
        return store.add(folder, format="counted", input=INPUT, output=output, origin=origin)


def times(log: Path, what: str) -> int:
    return log.read_text().split().count(what) if log.exists() else 0


def by_hand(artifact: Artifact, images: NDArray[np.uint8]) -> NDArray[np.float64]:
    raised = np.exp(images.mean(axis=(1, 2)) @ np.load(artifact.path / "model.npy"))
    return raised / raised.sum(axis=1, keepdims=True)
