"""Compares TFLite Micro's outputs with those of LiteRT, the runtime of phones and computers.

There are two comparisons. The first is with LiteRT's default kernels. The default kernels round
differently from TFLite Micro, and the differences add up over the layers: probabilities differed by
0.1 and 0.3 in networks of 20 and 40 layers with random weights. The second is with LiteRT's
reference kernels. The reference kernels round in the same way as TFLite Micro, so any difference
means a defect. On the same networks, nothing differed.

The images are synthetic, as an exporter gets no data. The artifact is evaluated on real images
later.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pupila import OutputSpec
from pupila.litert.interpreter import Interpreter
from pupila.measured import Measured, PluginWarning, RuntimeComparison
from pupila.plugin import CLASSIFICATION
from pupila.runtime import ignore_progress
from pupila.task import answers_of_outputs, methods_of
from pupila_micro.runner import MicroModel

_SUSPICIOUS = 0.1
"""Largest difference from the reference kernels without a warning, as a fraction of the range of
LiteRT's outputs. Kernels that round in the same way differ far less."""


@dataclass(frozen=True)
class Comparison:
    """Answers `(images, columns)` to the same images from three sets of kernels."""

    micro: NDArray[np.float32]
    """Answers of TFLite Micro."""
    shipped: NDArray[np.float32]
    """Answers of LiteRT with its default kernels, as on phones and computers."""
    reference: NDArray[np.float32]
    """Answers of LiteRT with its reference kernels, which round like TFLite Micro."""
    task: str = CLASSIFICATION
    """What the model has learned, see `pupila.task`."""

    @property
    def measured(self) -> Measured:
        """Differences between TFLite Micro and LiteRT, and a warning if they are suspicious.

        `label_agreement` and `max_difference` compare TFLite Micro with LiteRT's default kernels.
        `reference_difference` compares TFLite Micro with LiteRT's reference kernels. Each
        column of the answers has a range over the images; `answer_span` is the largest range.
        """
        same = methods_of(self.task).same(self.micro, self.shipped)
        comparison = RuntimeComparison(
            probe_images=len(self.micro),
            label_agreement=float(same.mean()),
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
    """Compare an open TFLite Micro model with LiteRT, which runs the flatbuffer `source`.

    `output` is the model's output spec, and `probes` are uint8 images `(images, height, width, 3)`.
    """
    shipped = Interpreter(source, threads=1)
    reference = Interpreter(source, threads=1, reference_kernels=True)
    micro, *others = (
        answers_of_outputs(output, runtime.predict(probes, ignore_progress))
        for runtime in (model, shipped, reference)
    )
    return Comparison(micro, *others, task=output.task)
