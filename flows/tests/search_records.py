"""What a search notes, with figures computed from a seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pupila.noninferiority import LEVEL, proportion_interval

IMAGES = 107
KINDS = ("convolution", "separable", "inverted")


def record(
    count: int = 40, seed: int = 3, failed: tuple[int, ...] = (5,), crossover_rate: float = 0.25
) -> dict[str, Any]:
    """Return what a search of `count` candidates notes; that part of them has two parents."""
    random = np.random.default_rng(seed)
    models = [_model(number, random, crossover_rate) for number in range(count)]
    tried = [model for number, model in enumerate(models) if number not in failed]
    chosen = max(tried, key=lambda model: model["validation_accuracy"]["value"])
    return {
        "chosen": chosen["name"],
        "chosen_model": chosen,
        "rule": "highest validation accuracy",
        "tied": [model["name"] for model in tried if model is not chosen and _near(model, chosen)],
        "looks": 3 * count,
        "validation_images": IMAGES,
        "front": [model for model in tried if not _dominated(model, tried)],
        "family": _family(chosen, models),
        "candidates": [
            _failed(model) if number in failed else _brief(model)
            for number, model in enumerate(models)
        ],
        "seconds": models[-1]["seconds"],
        "teachers": [{"digest": name, "validation_accuracy": _interval(104)} for name in "ab"],
        "taken_with": {"use": "search-pick", "setting": "pick"},
    }


def _model(number: int, random: np.random.Generator, crossover_rate: float) -> dict[str, Any]:
    first = max(0, number - 9)
    parents = random.choice(np.arange(first, number), min(number, 2), replace=False)
    crossover = number > 3 and random.random() < crossover_rate
    named = [f"c{parent}" for parent in (parents if crossover else parents[:1])]
    preserved = not crossover and bool(named) and random.random() < 0.5
    right = min(IMAGES - 3, int(70 + 4 * np.sqrt(number) + random.integers(0, 12)))
    blocks = [_block(number, random) for number in range(int(random.integers(2, 12)))]
    return {
        "name": f"c{number}",
        "parents": named,
        "change": "initial" if not named else "cross" if crossover else "widen block_1 to 48",
        "preserved": preserved,
        "generation": number // 6,
        "genome": {"blocks": blocks, "head": {"flatten": False, "units": 16}},
        "sizes": [
            {"rows": side, "columns": side, "channels": block["filters"], "parameters": 1234}
            for block, side in zip([*blocks, {"filters": 2}], _sides(blocks), strict=True)
        ],
        "bytes": int(4_000 * 1.06 ** (number + 6 * random.random())),
        "macs": 100_000 * (number + 1),
        "epochs": 3,
        "latency_ms": 0.05 + 0.01 * number * random.random(),
        "validation_loss": 0.4,
        "validation_accuracy": _interval(right),
        "seconds": 7.5 * (number + 1),
    }


def _block(mark: int, random: np.random.Generator) -> dict[str, Any]:
    kind = KINDS[int(random.integers(3))]
    return {
        "mark": mark,
        "kind": kind,
        "filters": int(8 * (mark + 1)),
        "kernel": 3,
        "stride": 2 if mark == 0 else 1,
        "normalised": True,
        "activation": "relu6",
        "pooling": "max" if mark == 1 else "none",
        "hidden": 48 if kind == "inverted" else 0,
        "squeeze": 12 if kind == "inverted" and mark % 2 else 0,
        "shortcut": False,
    }


def _sides(blocks: list[dict[str, Any]]) -> list[int]:
    """Return the side of what each block gives to a picture of 224 pixels, and of the head."""
    halved = np.cumsum([block["stride"] == 2 or block["pooling"] != "none" for block in blocks])
    return [224 >> int(times) for times in halved] + [1]


def _near(model: Mapping[str, Any], chosen: Mapping[str, Any]) -> bool:
    behind = chosen["validation_accuracy"]["value"] - model["validation_accuracy"]["value"]
    return behind * IMAGES < 12


def _interval(right: int) -> dict[str, float]:
    """Return an accuracy with an interval for three epochs of forty candidates at once."""
    interval = proportion_interval(right, IMAGES, LEVEL / 120)
    return interval.model_dump(exclude={"method"})


def _brief(model: dict[str, Any]) -> dict[str, Any]:
    kept = ("name", "bytes", "generation", "latency_ms", "seconds")
    value = model["validation_accuracy"]["value"]
    reached = {"stage_accuracies": [value], "stage_seconds": [model["seconds"]]}
    return {name: model[name] for name in kept} | {"validation_accuracy": value} | reached


def _failed(model: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": model["name"],
        "bytes": model["bytes"],
        "failed": "MemoryError: its worker died",
    }


def _dominated(model: Mapping[str, Any], others: list[dict[str, Any]]) -> bool:
    value = model["validation_accuracy"]["value"]
    return any(
        other["validation_accuracy"]["value"] >= value
        and other["bytes"] < model["bytes"]
        and other["latency_ms"] < model["latency_ms"]
        for other in others
    )


def _family(chosen: Mapping[str, Any], models: list[dict[str, Any]]) -> list[dict[str, Any]]:
    wanted = {chosen["name"]}
    for model in reversed(models):
        if model["name"] in wanted:
            wanted.update(model["parents"])
    return [model for model in models if model["name"] in wanted]
