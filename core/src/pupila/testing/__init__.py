"""Tests for plugin authors: contracts to inherit, and small models and images to run plugins on.

This is a plugin's whole test file, for the example `sparsify` in the docstring of
`pupila.hookspecs.Hooks.pupila_techniques`:

```python
from pupila.testing import TechniqueContract


class TestSparsify(TechniqueContract):
    plugin = "sparsify"
    config = {"fraction": 0.8}
```

Install the plugin (`pip install --editable .`), then run `pytest`: each property that Pupila relies
on is one test, named as a sentence. `ExporterContract` does the same for exporters, and checks that
the exported model, run by the runner of its format, gives the same answers. `TaskContract` tests a
task, `DataCheckContract` a check of the images, `CommandContract` a command, `ImageFormatContract`
a decoder of images, `DatasetReaderContract` a reader of data sets; `MetricContract`,
`ConditionContract` and `SectionContract` test what a package adds to the results of a run. As in a
flow, a step does not get the test images; a step that asks for them fails. `StudentContract`,
`LoaderContract` and `RunnerContract` test what builds, reads and runs models, `ShiftContract` a
family of alterations.

The contract makes the input itself: a tiny image classifier in a format that the plugin accepts,
and a few synthetic images. If the plugin does not accept `keras`, an installed exporter converts
the classifier. If the plugin needs something else, override `make_inputs` or `make_dataset`. This
module needs `pytest`.
"""

from __future__ import annotations

import pytest

# before the contracts are imported: a failed assertion then shows what was compared
_CONTRACTS = (
    *("contracts", "task_contract", "command_contract", "data_check_contract"),
    *("result_contracts", "plugin_contract", "model_contracts", "shift_contract"),
    "data_contracts",
)
pytest.register_assert_rewrite(*(f"pupila.testing.{name}" for name in _CONTRACTS))

from pupila.runtime import ignore_progress  # noqa: E402
from pupila.testing.accessibility import barriers  # noqa: E402
from pupila.testing.browsing import flatbuffer_with_lacking_operator, skip_without  # noqa: E402
from pupila.testing.command_contract import CommandContract  # noqa: E402
from pupila.testing.contracts import ExporterContract, TechniqueContract  # noqa: E402
from pupila.testing.data_check_contract import DataCheckContract  # noqa: E402
from pupila.testing.data_contracts import (  # noqa: E402
    DatasetReaderContract,
    ImageFormatContract,
)
from pupila.testing.disc_steps import DiscSteps, mean_shift  # noqa: E402
from pupila.testing.discs import DISC, disc_dataset, disc_locator, store_locator  # noqa: E402
from pupila.testing.installing import plugin_installed, write_distribution  # noqa: E402
from pupila.testing.model_contracts import (  # noqa: E402
    LoaderContract,
    RunnerContract,
    StudentContract,
)
from pupila.testing.model_steps import ClassifierSteps  # noqa: E402
from pupila.testing.result_contracts import (  # noqa: E402
    ConditionContract,
    MetricContract,
    SectionContract,
)
from pupila.testing.shift_contract import ShiftContract  # noqa: E402
from pupila.testing.steps import (  # noqa: E402
    StepMaker,
    StepRun,
    finish_after_kill,
    run_step,
    step_for,
)
from pupila.testing.task_contract import TaskContract  # noqa: E402
from pupila.testing.tiny import (  # noqa: E402
    CLASSES,
    INPUT,
    colour_dataset,
    colour_teacher,
    draw_colours,
    draw_images,
    keras_artifact,
    keras_model,
    photograph_filter,
    read_images,
    save_scaled_teacher,
    store_model,
)

__all__ = [
    "CLASSES",
    "DISC",
    "INPUT",
    "ClassifierSteps",
    "CommandContract",
    "ConditionContract",
    "DataCheckContract",
    "DatasetReaderContract",
    "DiscSteps",
    "ExporterContract",
    "ImageFormatContract",
    "LoaderContract",
    "MetricContract",
    "RunnerContract",
    "SectionContract",
    "ShiftContract",
    "StepMaker",
    "StepRun",
    "StudentContract",
    "TaskContract",
    "TechniqueContract",
    "barriers",
    "colour_dataset",
    "colour_teacher",
    "disc_dataset",
    "disc_locator",
    "draw_colours",
    "draw_images",
    "finish_after_kill",
    "flatbuffer_with_lacking_operator",
    "ignore_progress",
    "keras_artifact",
    "keras_model",
    "mean_shift",
    "photograph_filter",
    "plugin_installed",
    "read_images",
    "run_step",
    "save_scaled_teacher",
    "skip_without",
    "step_for",
    "store_locator",
    "store_model",
    "write_distribution",
]
