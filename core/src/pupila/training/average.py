"""Averages a model's weights over the steps of its training.

Polyak and Juditsky 1992, "Acceleration of stochastic approximation by averaging": the mean of the
weights over many steps is better than those of the last one. Here the last steps count most. With
weights θ_i after step i and decay β, after step n

    θ̄_n = Σ β^(n-i) θ_i / Σ β^(n-i),

as Kingma and Ba 2015 ("Adam", section 3) correct a mean that has just begun. Keras' own `use_ema`
does not correct it, leaves out the statistics of batch normalisation, and puts the mean in the
place of the weights at the end of each `fit`, which is each epoch here.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from pupila.keras_files import import_keras, import_tensorflow

keras, tf = import_keras(), import_tensorflow()


class Average:
    """The running mean of variables, which are Keras' or TensorFlow's; whole numbers are left."""

    def __init__(self, variables: Sequence[Any], decay: float) -> None:
        plain = [each.value if isinstance(each, keras.Variable) else each for each in variables]
        self._given = [each for each in plain if each.dtype.is_floating]
        self._decay = decay
        self._means = [tf.Variable(tf.zeros_like(each), trainable=False) for each in self._given]
        self._power = tf.Variable(1.0, dtype=tf.float64, trainable=False)
        self.variables = [*self._means, self._power]
        """All that has to be kept to go on: the means, and β^n."""
        self._update = tf.function(self._updated, autograph=False)

    def update(self) -> None:
        """Take in the variables as they are after a step."""
        self._update()

    @contextmanager
    def in_place(self) -> Generator[None]:
        """Put the means in the place of the variables, for as long as the context lasts."""
        own = [np.array(each) for each in self._given]
        for variable, mean in zip(self._given, self._means, strict=True):
            variable.assign(mean)
        try:
            yield
        finally:
            for variable, value in zip(self._given, own, strict=True):
                variable.assign(value)

    def _updated(self) -> None:
        power = self._power.assign(self._power * self._decay)
        part = (1 - self._decay) / (1 - power)
        for variable, mean in zip(self._given, self._means, strict=True):
            mean.assign_add(tf.cast(part, mean.dtype) * (variable - mean))
