"""Which of several teachers a model is compared with."""

from __future__ import annotations

from pathlib import Path

import pytest
from sample_runs import Node, sample_run

from pupila_flows.run.evaluate import best_of


@pytest.mark.parametrize(
    ("accuracies", "best"),
    [((0.95, 0.97), "other"), ((0.97, 0.95), "vgg16"), ((0.95, 0.95), "vgg16")],
)
def test_of_several_teachers_it_is_the_best_on_the_validation_images(
    tmp_path: Path, accuracies: tuple[float, float], best: str
):
    names = ("vgg16", "other")
    teachers = [
        Node(name, "keras-h5", (), 0.3, "keras", validation=accuracy)
        for name, accuracy in zip(names, accuracies, strict=True)
    ]
    evaluated = {entry.name: entry for entry in sample_run(tmp_path, teachers).entries}
    assert best_of(names, evaluated) == best
    assert best_of(("other",), evaluated) == "other"
    assert best_of((), evaluated) is None
    evaluated["other"] = evaluated["other"].model_copy(
        update={"evaluation": None, "error": "crashed"}
    )
    assert best_of(names, evaluated) == "other"
