"""Sizes and colours that tell the class of an image."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pupila_flows.data.validation.shortcuts import colour_auc, size_auc


def test_a_shortcut_counts_in_either_direction() -> None:
    frame = pd.DataFrame({"width": [9, 8, 2, 1], "height": [1, 2, 8, 9], "bytes": [1, 4, 4, 1]})
    aucs = size_auc(frame, np.array([False, False, True, True]))
    assert aucs == {"width": 1.0, "height": 1.0, "bytes": 0.5}


def test_colour_that_says_nothing_scores_about_one_half() -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.random((400, 3)), columns=["mean_red", "mean_green", "mean_blue"])
    truth = np.arange(400) % 2 == 0
    assert 0.4 < colour_auc(frame, truth) < 0.6
    frame["mean_blue"] += np.where(truth, 0.9, 0)
    assert colour_auc(frame, truth) > 0.9
