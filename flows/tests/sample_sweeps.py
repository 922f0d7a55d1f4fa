"""Sample sweeps: every combination of two settings, with three seeds and a control."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

from sample_runs import ALONE, STUDENT, VGG, Node, sample_run

from pupila_flows.results import RunResult

ALPHAS, TEMPERATURES, SEEDS = (0, 0.1, 0.5), (1, 4), (7, 8, 9)
SWEEP: dict[str, tuple[Any, ...]] = {"pupil.alpha": ALPHAS, "pupil.temperature": TEMPERATURES}


def _suffix(seed: int) -> str:
    return "" if seed == SEEDS[0] else f"#{seed}"


def control(seed: int) -> Node:
    again = "pupil (control)" if _suffix(seed) else None
    return Node(
        f"pupil (control){_suffix(seed)}", "train", (), 2.0, config=ALONE, seed=seed, repeats=again
    )


def point(alpha: float, temperature: float, seed: int) -> Node:
    name = f"pupil[alpha={alpha}, temperature={temperature}]"
    return Node(
        *(name + _suffix(seed), "distill", ("vgg16",), 0.5 + alpha),
        config=STUDENT,
        seed=seed,
        repeats=name if _suffix(seed) else None,
        control=f"pupil (control){_suffix(seed)}",
        settings={"pupil.alpha": alpha, "pupil.temperature": temperature},
        validation=0.97 if (alpha, temperature) == (0.1, 4) else 0.95,
    )


def sweep_nodes(seeds: Sequence[int] = SEEDS) -> list[Node]:
    points = [point(*setting) for setting in product(ALPHAS, TEMPERATURES, seeds)]
    every = [VGG, *points, *(control(seed) for seed in seeds)]
    return sorted(every, key=lambda node: node.repeats is not None)


def sample_sweep(
    folder: Path, nodes: Sequence[Node], sweep: dict[str, tuple[Any, ...]] = SWEEP
) -> RunResult:
    return sample_run(folder, nodes, sweep=sweep)
