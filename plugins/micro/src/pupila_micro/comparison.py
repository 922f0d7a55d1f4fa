"""How far TFLite Micro answers from LiteRT, which runs the same model on phones and computers.

Twice. As it is shipped, LiteRT rounds otherwise than TFLite Micro, and that adds up from layer to
layer: to 0.1 and 0.3 of a probability in nets of 20 and 40 layers with random weights. With its
reference kernels it rounds alike, so that a defect shows: the same nets answered the same.

The images are drawn: an exporter gets no data. On real ones the artifact is judged by its runner.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pupila import OutputSpec
from pupila.litert.interpreter import Interpreter
from pupila.measured import Measured, PluginWarning, RuntimeComparison
from pupila_micro.probes import ignore_progress
from pupila_micro.runner import MicroModel

_SUSPICIOUS = 0.1
"""Of the span of LiteRT's answers: far more than two kernels that round alike can be apart."""


@dataclass(frozen=True)
class Comparison:
    """Probabilities that three runtimes give the same images, `(n, classes)` each."""

    micro: NDArray[np.float32]
    shipped: NDArray[np.float32]
    """LiteRT's, as phones and computers run it."""
    reference: NDArray[np.float32]
    """LiteRT's with its reference kernels."""

    @property
    def measured(self) -> Measured:
        """The differences, and a warning where the comparison does not reassure.

        Agreement and largest difference are those from LiteRT as it is shipped.
        """
        comparison = RuntimeComparison(
            probe_images=len(self.micro),
            label_agreement=float((self.micro.argmax(1) == self.shipped.argmax(1)).mean()),
            max_difference=float(np.abs(self.micro - self.shipped).max()),
            reference_difference=self._difference,
            answer_span=self._span,
        )
        warning = self._warning
        return Measured(comparison, PluginWarning(warning=warning) if warning else {})

    @property
    def _difference(self) -> float:
        return float(np.abs(self.micro - self.reference).max())

    @property
    def _span(self) -> float:
        return float(np.ptp(self.reference, axis=0).max())

    @property
    def _warning(self) -> str | None:
        images = f"{len(self.micro)} drawn images"
        if not self._difference <= _SUSPICIOUS * self._span:
            return (
                f"On {images} TFLite Micro answers up to {self._difference:.3g} from what LiteRT's "
                f"reference kernels do, whose answers span {self._span:.3g}."
            )
        if not self._span:
            return f"All {images} get one answer: whether the runtimes differ could not be seen."
        return None


def compare(
    model: MicroModel, source: Path, output: OutputSpec, probes: NDArray[np.uint8]
) -> Comparison:
    """Ask an open model, and LiteRT about the flatbuffer that it was made of."""
    shipped = Interpreter(source, threads=1)
    reference = Interpreter(source, threads=1, reference_kernels=True)
    micro, *others = (
        output.probabilities(each.predict(probes, ignore_progress))
        for each in (model, shipped, reference)
    )
    return Comparison(micro, *others)
