"""The state that all stages of a run share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pupila.chance import ChanceCheck
from pupila.dataset import Dataset
from pupila.openset import OpenSetImages
from pupila.spec import OutputSpec
from pupila_flows.data.external.reading import ExternalImages
from pupila_flows.plan.expand import Node
from pupila_flows.plan.plan import Plan
from pupila_flows.run.orchestrator import Orchestrator
from pupila_flows.workspace import Workspace


@dataclass(frozen=True)
class Run:
    """The plan, data and nodes of one run, shared by its stages."""

    plan: Plan
    workspace: Workspace
    dataset: Dataset
    nodes: tuple[Node, ...]
    orchestrator: Orchestrator
    open_set: OpenSetImages | None = None
    external: tuple[ExternalImages, ...] = ()
    """External images, which are used only for evaluation."""
    proven: Mapping[str, ChanceCheck] = field(default_factory=dict[str, ChanceCheck])
    """Chance check on the validation images, by name of the teacher."""

    @property
    def positive(self) -> str:
        return self.plan.recipe.data.positive_class(self.dataset.classes)


def answers_like(output: OutputSpec, dataset: Dataset) -> bool:
    """Return whether a model's answers can be compared with the labels of a dataset."""
    return output.task == dataset.task and same_classes(output.classes, dataset.classes)


def same_classes(classes: Sequence[str], others: Sequence[str]) -> bool:
    """Return whether two models have the same classes, in any order."""
    return sorted(classes) == sorted(others)
