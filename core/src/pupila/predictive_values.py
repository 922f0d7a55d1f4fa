"""Predictive values of an operating point at any prevalence, by its likelihood ratios.

The share of the positive class among the images, `p`, is not a property of the model. By Bayes'
theorem in odds (Altman and Bland 1994, BMJ 309:102):

    PPV = odds · LR₊ / (1 + odds · LR₊),   LR₊ = sensitivity / (1 - specificity)
    NPV = 1 / (1 + odds · LR₋),            LR₋ = (1 - sensitivity) / specificity

with `odds = p / (1 - p)`.

The interval of a likelihood ratio comes from those of sensitivity and specificity, which are of
different images, by MOVER-R (Newcombe 2016, Stat Methods Med Res 25:1774; the formula is that of
Donner and Zou 2012, ibid. 21:347). So it is by patient if those are. With Wilson's intervals of 20
to 300 images, it contained the true ratio in 93 to 97 % of 4000 simulated tests (100 % at a
sensitivity of 1). `p` is taken as known.
"""

from __future__ import annotations

from math import inf, nan, sqrt

from pupila.evaluation import Estimate, OperatingPoint

_METHOD = "MOVER-R (Newcombe 2016), from the intervals of sensitivity and specificity"


def likelihood_ratios(point: OperatingPoint) -> tuple[Estimate, Estimate]:
    """Return the likelihood ratios of a positive and of a negative answer.

    A ratio with the denominator 0 is infinite; 0 to 0 is NaN.
    """
    sensitivity, specificity = point.sensitivity, point.specificity
    return (
        _ratio(sensitivity, _complement(specificity)),
        _ratio(_complement(sensitivity), specificity),
    )


def predictive_values(point: OperatingPoint, prevalence: float) -> tuple[Estimate, Estimate]:
    """Return PPV and NPV where the fraction `prevalence` of the images, in (0, 1), is positive.

    PPV is the fraction of positive answers that are right, NPV that of negative answers.
    """
    positive, negative = likelihood_ratios(point)
    return (
        Estimate(
            value=_share(prevalence, positive.value),
            low=_share(prevalence, positive.low),
            high=_share(prevalence, positive.high),
            method=_METHOD,
        ),
        Estimate(
            value=1 - _share(prevalence, negative.value),
            low=1 - _share(prevalence, negative.high),
            high=1 - _share(prevalence, negative.low),
            method=_METHOD,
        ),
    )


def _share(prevalence: float, ratio: float) -> float:
    """Return the fraction of the positive class among images with one answer."""
    odds = prevalence / (1 - prevalence) * ratio
    return 1.0 if odds == inf else odds / (1 + odds)


def _complement(share: Estimate) -> Estimate:
    changed = {"value": 1 - share.value, "low": 1 - share.high, "high": 1 - share.low}
    return share.model_copy(update=changed)


def _ratio(over: Estimate, under: Estimate) -> Estimate:
    """Return the ratio of two independent fractions, with its MOVER-R interval."""
    product = over.value * under.value
    low_over = over.low * (2 * over.value - over.low)
    low_under = under.high * (2 * under.value - under.high)
    high_over = over.high * (2 * over.value - over.high)
    high_under = under.low * (2 * under.value - under.low)
    low_root = sqrt(max(0.0, product**2 - low_over * low_under))
    high_root = sqrt(max(0.0, product**2 - high_over * high_under))
    return Estimate(
        value=_divided(over.value, under.value),
        low=low_over / (product + low_root) if low_over > 0 else 0.0,
        high=(product + high_root) / high_under if high_under > 0 else inf,
        method=_METHOD,
    )


def _divided(over: float, under: float) -> float:
    return over / under if under else (inf if over else nan)
