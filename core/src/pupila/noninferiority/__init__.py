"""Is a new classifier no worse than a reference by more than a margin? Both answer the same images.

The null hypothesis is that it *is* worse by the margin or more; a pass rejects it at `LEVEL`. So
too few images never pass, and a false pass at the margin has at most that probability.

Two proportions (accuracy, sensitivity) are compared by the exact unconditional test: images of
which only one is right are counted, as McNemar did; such counts are ordered by Tango's score
statistic (1998, Statistics in Medicine 17:891), and the p-value is the largest there is over all
frequencies of such images (Sidik 2003, Stat Med 22:265). The score test itself keeps its level
better than Wald's (Liu et al. 2002, Stat Med 21:231), but not always; this one does whatever the
truth is. McNemar's exact test, on the discordant images alone, knows no margin. Lloyd and Moldovan
(2008, Stat Med 27:3540) order by a p-value that is estimated first: a little more power for much
more work, which was left out.

Areas under the ROC curve, and whatever has several images of one patient, are compared by bootstrap
tilting (DiCiccio and Romano 1990) of what each image or patient adds: see `compare_areas`,
`pupila.noninferiority.clustered` and `pupila.noninferiority.tilting`.

Where several figures are asked and all must pass, each is tested at the full `LEVEL`: the chance
that all of them pass falsely is at most that of one (intersection–union, Berger 1982,
Technometrics 24:295).
"""

from __future__ import annotations

from pupila.noninferiority.auc import PairedAuc, compare_areas
from pupila.noninferiority.comparison import LEVEL, POWER, Comparison
from pupila.noninferiority.exact import score
from pupila.noninferiority.limits import LimitCheck, check_limit, check_part, part_interval
from pupila.noninferiority.proportions import (
    compare_proportions,
    critical_score,
    exact_p_value,
    images_needed,
    power,
)
from pupila.noninferiority.reach import area_reach, proportion_reach

__all__ = [
    "LEVEL",
    "POWER",
    "Comparison",
    "LimitCheck",
    "PairedAuc",
    "area_reach",
    "check_limit",
    "check_part",
    "compare_areas",
    "compare_proportions",
    "critical_score",
    "exact_p_value",
    "images_needed",
    "part_interval",
    "power",
    "proportion_reach",
    "score",
]
