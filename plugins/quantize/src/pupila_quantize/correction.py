"""Corrects the rounding errors of weights in a quantised flatbuffer.

Rounding shifts the mean output of a layer, which is corrected in its bias: Nagel et al. 2019,
"Data-free quantization through weight equalization and bias correction" (ICCV), section 4.2,

    b' = b - (W' - W) E[x]

with W' the rounded weights. E[x] is measured in the float model on the calibration images (the
paper's "empirical" form), for each position in the kernel, so that padding is included. With
`correction: gptq`, weights are first rounded again: see `pupila_quantize.gptq`.

The table has accuracy, and divergence from the float model, on ACRIMA's 105 validation images, with
100 training images for calibration. The accuracy of the float model is in the heading. The figures
are optimistic, as the default correction was chosen on the same images:

|                        | SqueezeNet (.924)  | EfficientNet-Lite0 (.962) |
|------------------------|--------------------|---------------------------|
| int8                   | .924, .0033        | .943, .0080               |
| int8, bias             | .924, .0031        | .971, .0017               |
| int4                   | .695, 1.1776       | .781, .3637               |
| int4, bias             | .914, .0360        | .867, .0915               |
| int4, gptq             | .933, .0110        | .962, .0117               |

In int8, `gptq` gains too little for its time to be the default: SqueezeNet's divergence fell from
.0031 to .0026. In int4, `gptq` got worse with scales that minimise the squared error of the weights
and so clip the largest ones.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pupila.litert.tensor_io import to_integers
from pupila_quantize.gptq import round_weights
from pupila_quantize.observing import InputStats
from pupila_quantize.weighted import Constant, WeightedOperator, read_weighted_operators

_ROWS = 512
"""Number of output channels whose weights are converted to floats at once, to limit memory."""

_LARGEST = {True: 7, False: 127}
"""Largest stored weight; the key says whether weights have four bits."""


def correct(quantised: Path, source: Path, inputs: list[InputStats]) -> dict[str, int]:
    """Correct a quantised flatbuffer in place; return how many biases and kernels changed.

    `source` is the float original. For each operator, `inputs` has statistics of what the operator
    reads in the float original. The counts are named `corrected_biases` and `rounded_kernels`.
    Layers in float, kernels with a scale for each block, and kernels or biases that several layers
    share are not corrected.
    """
    counts = {"corrected_biases": 0, "rounded_kernels": 0}
    operators = read_weighted_operators(quantised, write=True)
    originals = read_weighted_operators(source)
    for operator, original, stats in zip(operators, originals, inputs, strict=True):
        if operator.kernel.is_float or operator.kernel.scales is None:
            continue
        counts["rounded_kernels"] += _round_again(operator.kernel, original.kernel, stats)
        counts["corrected_biases"] += _correct_bias(operator, original, stats)
    return counts


def _round_again(kernel: Constant, original: Constant, stats: InputStats) -> bool:
    scales = kernel.scales
    if not stats.moments or kernel.is_shared or scales is None or not scales.all():
        return False
    outputs = kernel.shape[0]
    scales = np.broadcast_to(scales, outputs)
    stored = np.empty((outputs, original.stored.nbytes // 4 // outputs), np.int8)
    weights = original.values().reshape(outputs, -1)
    for rows in _blocks(outputs):
        stored[rows] = round_weights(
            weights[rows], scales[rows], stats.moments, _LARGEST[kernel.is_in_four_bits]
        )
    kernel.write(stored)
    return True


def _correct_bias(
    operator: WeightedOperator, original: WeightedOperator, stats: InputStats
) -> bool:
    bias, scales = operator.bias, operator.kernel.scales
    if bias is None or bias.is_shared or scales is None:
        return False
    rounded_mean = _mean_output(operator, stats.mean) * scales
    shift = rounded_mean - _mean_output(original, stats.mean)
    if bias.is_float:
        bias.write(bias.values() - shift.astype(np.float32))
    elif operator.input_scale is not None:
        unit = scales * operator.input_scale
        steps = np.divide(shift, unit, out=np.zeros_like(shift), where=unit > 0)
        bias.write(to_integers(bias.values() - steps, bias.values().dtype))
    return True


def _mean_output(operator: WeightedOperator, mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return W E[x] `(outputs,)`, with W the weights as stored.

    Outputs of a grouped convolution read only the channels of their group.
    """
    kernel = operator.kernel.values()
    if operator.kind == "DEPTHWISE_CONV_2D":
        spread = np.repeat(mean, kernel.shape[3] // mean.shape[1], axis=1)
        return (kernel[0].reshape(len(mean), -1) * spread).sum(axis=0)
    outputs: int = kernel.shape[0]
    channels: int = kernel.shape[-1]
    groups = mean.shape[1] // channels
    means = np.empty(outputs)
    for group, rows in enumerate(np.split(np.arange(outputs), groups)):
        group_mean = mean[:, group * channels : (group + 1) * channels].reshape(-1)
        for block in _blocks(len(rows)):
            weights = kernel[rows[block][0] : rows[block][-1] + 1]
            means[rows[block]] = weights.reshape(len(weights), -1) @ group_mean
    return means


def _blocks(count: int) -> list[slice]:
    return [slice(start, min(start + _ROWS, count)) for start in range(0, count, _ROWS)]
