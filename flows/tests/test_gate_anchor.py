"""Many small losses add up; the anchor keeps them within the margin."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gate_cases import GateModels, scores_with_errors
from numpy.typing import NDArray
from sample_runs import BINARY, SPECIFICITY

from pupila_flows.gate.decision import decide
from pupila_flows.gate.inputs import Case, GateInputs, GateModel, Images, Incumbent
from pupila_flows.recipe.gate import GateSection, Margins

IMAGES, RELEASES, LOSS, MARGIN = 485, 30, 0.01, 0.05
Bools = NDArray[np.bool_]


class Clinic:
    """Releases that are each a little worse than the previous one, by the gate itself."""

    def __init__(self, sides: GateModels, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.template, self.folder = (
            sides("model", scores_with_errors(0), locked=False),
            sides.folder,
        )
        self.labels = np.arange(IMAGES) % 2

    def published(self, *, anchored: bool) -> int:
        """Return how many of the releases the gate lets pass, one after another."""
        first = current = self.random.random(IMAGES) < 0.99
        passed = 0
        for _ in range(RELEASES):
            kept = 1 - LOSS / (0.99 - passed * LOSS)
            candidate = current & (self.random.random(IMAGES) < kept)
            incumbents = [self.incumbent("published", current)]
            incumbents += [self.incumbent("anchor", first)] if anchored and passed else []
            if self.passes(candidate, tuple(incumbents)):
                current, passed = candidate, passed + 1
        return passed

    def incumbent(self, role: str, right: Bools) -> Incumbent:
        fields = {"role": role, "title": "version 1", "names": ("int8",)}
        return Incumbent.model_validate(fields | {"artifact": self.gate_model(role, right)})

    def passes(self, right: Bools, incumbents: tuple[Incumbent, ...]) -> bool:
        case = Case(
            entry="int8",
            made="-",
            artifact=self.gate_model("int8", right),
            teacher=None,
            incumbents=incumbents,
        )
        inputs = GateInputs(
            section=GateSection(margins=Margins(), published=Margins(accuracy=MARGIN)),
            specificity=SPECIFICITY,
            cases=(case,),
            classes=BINARY,
            positive="glaucoma",
            test=Images(
                fingerprint="-",
                paths=tuple(map(str, range(IMAGES))),
                labels=tuple(self.labels.tolist()),
            ),
            validation=None,
        )
        return decide(inputs).verdict == "pass"

    def gate_model(self, name: str, right: Bools) -> GateModel:
        path: Path = self.folder / f"{name}.npy"
        scores = np.full((IMAGES, 2), 0.1)
        scores[np.arange(IMAGES), np.where(right, self.labels, 1 - self.labels)] = 0.9
        np.save(path, scores)
        evaluation = self.template.evaluation.model_copy(update={"probabilities": str(path)})
        return GateModel(name=name, evaluation=evaluation)


@pytest.mark.parametrize("seed", range(3))
def test_releases_that_each_lose_a_point_stop_within_the_margin(gate_model: GateModels, seed: int):
    creeping = Clinic(gate_model, seed).published(anchored=False)
    assert creeping >= 28  # so many points are lost then, and each passed
    anchored = Clinic(gate_model, seed).published(anchored=True)
    assert 1 <= anchored <= MARGIN / LOSS
