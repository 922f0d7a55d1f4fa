"""Tests whether a new model is worse than a reference by less than a margin, on one test set.

The null hypothesis is that the new model is worse by the margin or more. A pass rejects this
hypothesis at `LEVEL`. So a test on too few images does not pass, and a model that is worse by
exactly the margin passes with a probability of at most `LEVEL`.

Two proportions (accuracy, sensitivity) are compared by an exact unconditional test. As in McNemar's
test, it counts the discordant images: those that only one of the two classifiers answers correctly.
Counts are ordered by Tango's score statistic (1998, Statistics in Medicine 17:891), and the p-value
is the largest over all frequencies of discordant images (Sidik 2003, Stat Med 22:265). Tango's
score test keeps its level more often than Wald's (Liu et al. 2002, Stat Med 21:231), and the exact
test always does. McNemar's exact test has no margin. Ordering by an estimated p-value (Lloyd and
Moldovan 2008, Stat Med 27:3540) has slightly more power for much more work.

Areas under the ROC curve, mean errors, and proportions on data with several images of one patient,
are compared by bootstrap tilting (DiCiccio and Romano 1990): the contributions of images or
patients are reweighted. See `compare_auc`, `compare_errors`, `compare_means`,
`pupila.noninferiority.clustered` and `pupila.noninferiority.tilting`.

If several figures are tested and all must pass, each is tested at the full `LEVEL`. The probability
that all of them pass falsely is at most the probability that a single one does
(intersection–union, Berger 1982, Technometrics 24:295).
"""

from __future__ import annotations

from pupila.noninferiority.auc import PairedAuc, compare_auc
from pupila.noninferiority.comparison import LEVEL, POWER, Comparison
from pupila.noninferiority.exact import score
from pupila.noninferiority.limits import (
    LimitCheck,
    check_limit,
    check_proportion,
    proportion_interval,
)
from pupila.noninferiority.mean_error import PairedErrors, compare_errors
from pupila.noninferiority.mean_value import compare_means
from pupila.noninferiority.proportions import (
    compare_proportions,
    critical_score,
    exact_p_value,
    images_needed,
    power,
)
from pupila.noninferiority.reach import auc_reach, proportion_reach

__all__ = [
    "LEVEL",
    "POWER",
    "Comparison",
    "LimitCheck",
    "PairedAuc",
    "PairedErrors",
    "auc_reach",
    "check_limit",
    "check_proportion",
    "compare_auc",
    "compare_errors",
    "compare_means",
    "compare_proportions",
    "critical_score",
    "exact_p_value",
    "images_needed",
    "power",
    "proportion_interval",
    "proportion_reach",
    "score",
]
