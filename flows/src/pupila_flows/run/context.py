"""What all stages of one run read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pupila.chance import ChanceCheck
from pupila.dataset import Dataset
from pupila.openset import OpenSetImages
from pupila_flows.data.external.reading import ExternalImages
from pupila_flows.plan.expand import Node
from pupila_flows.plan.plan import Plan
from pupila_flows.workspace import Workspace


@dataclass(frozen=True)
class Run:
    """What all stages of a run read."""

    plan: Plan
    workspace: Workspace
    dataset: Dataset
    nodes: tuple[Node, ...]
    open_set: OpenSetImages | None = None
    external: tuple[ExternalImages, ...] = ()
    """Images of other places, by which models are only judged."""
    proven: Mapping[str, ChanceCheck] = field(default_factory=dict[str, ChanceCheck])
    """What the teachers reached on the validation images, by name."""

    @property
    def positive(self) -> str:
        return self.plan.recipe.data.positive_class(self.dataset.classes)


def same_classes(classes: Sequence[str], others: Sequence[str]) -> bool:
    """Tell whether two models speak of the same classes, in whatever order."""
    return sorted(classes) == sorted(others)
