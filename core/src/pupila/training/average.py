"""Averages a model's weights over the steps of its training.

Polyak and Juditsky 1992, "Acceleration of stochastic approximation by averaging": the mean of the
weights over many steps is better than the weights after the last step. Here later steps count more.
With weights θ_i after step i and decay β, the mean after step n is

    θ̄_n = Σ β^(n-i) θ_i / Σ β^(n-i)

The denominator corrects the bias of the first steps, as in Kingma and Ba 2015 ("Adam", section 3).
Keras' own `use_ema` does not correct this bias, leaves out the statistics of batch normalisation,
and replaces the weights by the mean at the end of each `fit`; here each epoch is one `fit`.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from pupila.keras_files import import_keras, import_tensorflow

keras, tf = import_keras(), import_tensorflow()


class Average:
    """The running mean of variables of Keras or TensorFlow, with decay β = `decay`.

    Variables that are not floating-point numbers are ignored.
    """

    def __init__(self, variables: Sequence[Any], decay: float) -> None:
        plain = [
            variable.value if isinstance(variable, keras.Variable) else variable
            for variable in variables
        ]
        self._given = [variable for variable in plain if variable.dtype.is_floating]
        self._decay = decay
        self._means = [
            tf.Variable(tf.zeros_like(variable), trainable=False) for variable in self._given
        ]
        self._power = tf.Variable(1.0, dtype=tf.float64, trainable=False)
        self.variables = [*self._means, self._power]
        """State that a checkpoint needs: the means, and β^n."""
        self._compiled_update = tf.function(self._update, autograph=False)

    def update(self) -> None:
        """Add the current values of the variables to the mean; call it after each step."""
        self._compiled_update()

    @contextmanager
    def in_place(self) -> Generator[None]:
        """Replace the variables by their means inside the `with` block, then restore them."""
        values = [np.array(variable) for variable in self._given]
        for variable, mean in zip(self._given, self._means, strict=True):
            variable.assign(mean)
        try:
            yield
        finally:
            for variable, value in zip(self._given, values, strict=True):
                variable.assign(value)

    def _update(self) -> None:
        power = self._power.assign(self._power * self._decay)
        fraction = (1 - self._decay) / (1 - power)
        for variable, mean in zip(self._given, self._means, strict=True):
            mean.assign_add(tf.cast(fraction, mean.dtype) * (variable - mean))
