"""What `prune-filters` promises as every technique does, and the settings that it refuses."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from pupila.testing import TechniqueContract, colour_dataset
from pupila.testing.tiny import keras_artifact
from pupila_prune.config import FilterPruning

pytestmark = pytest.mark.slow

CLASSES = ("blue", "red")
QUICK = {"rounds": 2, "epochs": 2, "sparsity": 0.5, "batch_size": 8, "augmentation": {"views": 2}}


class TestPruneFiltersKeepsTheContract(TechniqueContract):
    plugin = "prune-filters"
    config = QUICK | {"budget": 1, "epochs": 1}

    @classmethod
    def make_dataset(cls, folder):
        return colour_dataset(folder, images=6)

    @classmethod
    def make_inputs(cls, store, folder):
        return (keras_artifact(store, classes=CLASSES),)


@pytest.mark.parametrize(
    "changes",
    [
        {"sparsity": 0},
        {"sparsity": 1},
        {"rounds": 0},
        {"budget": -0.1},
        {"min_fraction_kept": 0},
        {"saliency": "random"},
        {"alpha": 2},
        {"temperature": 0},
    ],
)
def test_settings_out_of_range_are_refused(changes):
    with pytest.raises(ValidationError, match=next(iter(changes))):
        FilterPruning.model_validate(changes)
