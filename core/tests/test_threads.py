"""Models compute with the number of threads that the recipe sets, on any machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from pupila import PupilaError
from pupila.threads import DEFAULT_THREADS, environment, model_threads

TRAIN = """
import hashlib, json, os, sys
os.sched_setaffinity(0, json.loads(sys.argv[1]))
import keras, numpy as np
from pupila.threads import model_threads
keras.utils.set_random_seed(0)
layers = keras.layers
model = keras.Sequential(
    [
        layers.Input((64, 64, 3)), layers.Conv2D(16, 3, strides=2), layers.BatchNormalization(),
        layers.ReLU(), layers.Conv2D(64, 3), layers.GlobalAveragePooling2D(), layers.Dense(2),
    ]
)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile("adam", loss)
random = np.random.default_rng(0)
images, labels = random.random((48, 64, 64, 3), np.float32), random.integers(0, 2, 48)
model.fit(images, labels, batch_size=16, verbose=0)
weights = b"".join(each.tobytes() for each in model.get_weights())
print(json.dumps([model_threads(), hashlib.sha256(weights).hexdigest()]))
"""


def trained(threads: int, cores: list[int]) -> list[object]:
    """Train a small net in its own process; return its threads, and a digest of the net."""
    ended = subprocess.run(
        [sys.executable, "-c", TRAIN, json.dumps(cores)],
        env=os.environ | environment(threads),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(ended.stdout.splitlines()[-1])


@pytest.mark.long
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores can be chosen on Linux")
def test_the_number_of_threads_and_not_of_cores_determines_a_training():
    cores = sorted(os.sched_getaffinity(0))
    two = trained(2, cores)
    assert trained(2, cores[:1]) == two
    one = trained(1, cores)
    assert (one[0], two[0]) == (1, 2)
    assert one[1] != two[1]


def test_a_process_without_a_setting_computes_with_the_default(monkeypatch: pytest.MonkeyPatch):
    for name in environment(1):
        monkeypatch.delenv(name, raising=False)
    assert model_threads() == DEFAULT_THREADS
    for name, value in environment(5).items():
        monkeypatch.setenv(name, value)
    assert model_threads() == 5


@pytest.mark.parametrize("given", ["x", "0", "-1", ""])
def test_an_invalid_number_of_threads_is_refused(monkeypatch: pytest.MonkeyPatch, given: str):
    monkeypatch.setenv("PUPILA_THREADS", given)
    with pytest.raises(PupilaError, match="give a number of threads"):
        model_threads()
