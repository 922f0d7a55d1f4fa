"""Models that tell classes apart by mean colour, and the runtimes that they run in."""

from __future__ import annotations

import numpy as np

from pupila.artifact import Artifact, Origin
from pupila.spec import InputSpec, OutputSpec
from pupila.store import Store

CLASSES = ("square", "triangle")

COLOUR_RUNNER = """
import resource, time

import numpy as np

from pupila import Runner, hookimpl


@hookimpl
def pupila_runners():
    yield Runner(
        name="colour",
        summary="Tells classes apart by mean colour",
        implementation=f"{__name__}:Opened",
        format="colour",
    )
    for name in ("bright", "broken", "wider", *WRONG):
        yield Runner(
            name=name,
            summary="Where it runs otherwise",
            implementation=f"{__name__}:{name.capitalize()}",
            format="colour",
            primary=False,
        )


WRONG = {
    "ragged": {"predict": [[0.5, 0.5], [1.0]]},
    "wordy": {"predict": [["yes", "no"]]},
    "silent": {"predict": None},
    "timeless": {"latency_ms": []},
    "endless": {"latency_ms": [np.inf]},
    "spelt": {"latency_ms": ["fast"]},
    "countless": {"peak_memory_bytes": "much"},
}


def __getattr__(name):
    returned = {key: lambda *_, value=value: value for key, value in WRONG[name.lower()].items()}
    return type(name, (Opened,), returned)


class Opened:
    runtime = "numpy, one core"

    def __init__(self, artifact, threads):
        self.threads = threads
        self.weights = np.load(artifact.path / "model.npy")
        self.seconds = float((artifact.path / "seconds.txt").read_text())

    def predict(self, images, progress):
        progress(len(images), len(images), "images")
        logits = images.mean(axis=(1, 2)) @ self.weights
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
        return (shifted / shifted.sum(axis=1, keepdims=True)).astype(np.float32)

    def latency_ms(self, image, repeats):
        return [self.once(image) for _ in range(repeats)]

    def once(self, image):
        start = time.perf_counter()
        self.predict(image[None], lambda done, total, what: None)
        return 1000 * (time.perf_counter() - start + self.seconds)

    def peak_memory_bytes(self):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    def close(self):
        pass


class Bright(Opened):
    runtime = "numpy, a step brighter"

    def predict(self, images, progress):
        return super().predict(images + np.uint8(1), progress)


class Broken(Opened):
    runtime = "numpy, one core, broken"

    def predict(self, images, progress):
        answers = super().predict(images, progress)
        answers[0] = np.nan
        return answers


class Wider(Opened):
    runtime = "numpy, a column more"

    def predict(self, images, progress):
        answers = super().predict(images, progress)
        return np.concatenate([answers, answers[:, :1]], axis=1)
"""
"""A real runtime of three weights per class, which can say that it took longer than it did."""


def model(
    store: Store, *, seed: int = 0, classes: tuple[str, ...] = CLASSES, seconds: float = 0
) -> Artifact:
    weights = np.random.default_rng(seed).normal(0, 0.05, (3, len(classes)))
    with store.draft() as folder:
        np.save(folder / "model.npy", weights)
        (folder / "seconds.txt").write_text(str(seconds))
        return store.add(
            folder,
            format="colour",
            input=InputSpec(height=16, width=16),
            output=OutputSpec(kind="softmax", classes=classes),
            origin=Origin(plugin="colour", distribution="colour-test", version="1"),
            parameters=6,
            macs=6,
        )
