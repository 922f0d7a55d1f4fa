"""What a search notes, with figures computed from a seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pupila.noninferiority import LEVEL, proportion_interval

IMAGES = 107
KINDS = ("convolution", "separable", "inverted")


def record(
    count: int = 40, seed: int = 3, failed: tuple[int, ...] = (5,), crossed: float = 0.25
) -> dict[str, Any]:
    """Return what a search of `count` candidates notes; that part of them has two parents."""
    random = np.random.default_rng(seed)
    models = [_model(number, random, crossed) for number in range(count)]
    tried = [each for number, each in enumerate(models) if number not in failed]
    chosen = max(tried, key=lambda each: each["validation_accuracy"]["value"])
    return {
        "chosen": chosen["name"],
        "chosen_model": chosen,
        "rule": "highest validation accuracy",
        "tied": [each["name"] for each in tried if each is not chosen and _near(each, chosen)],
        "looks": 3 * count,
        "validation_images": IMAGES,
        "front": [each for each in tried if not _dominated(each, tried)],
        "family": _family(chosen, models),
        "candidates": [
            _failed(each) if number in failed else _brief(each)
            for number, each in enumerate(models)
        ],
        "seconds": models[-1]["seconds"],
        "teachers": [{"digest": name, "validation_accuracy": _interval(104)} for name in "ab"],
        "taken_with": {"use": "search-pick", "setting": "pick"},
    }


def _model(number: int, random: np.random.Generator, crosses: float) -> dict[str, Any]:
    first = max(0, number - 9)
    parents = random.choice(np.arange(first, number), min(number, 2), replace=False)
    crossed = number > 3 and random.random() < crosses
    named = [f"c{each}" for each in (parents if crossed else parents[:1])]
    preserved = not crossed and bool(named) and random.random() < 0.5
    right = min(IMAGES - 3, int(70 + 4 * np.sqrt(number) + random.integers(0, 12)))
    blocks = [_block(place, random) for place in range(int(random.integers(2, 12)))]
    return {
        "name": f"c{number}",
        "parents": named,
        "change": "initial" if not named else "cross" if crossed else "widen block_1 to 48",
        "preserved": preserved,
        "generation": number // 6,
        "genome": {"blocks": blocks, "head": {"flatten": False, "units": 16}},
        "sizes": [
            {"rows": side, "columns": side, "channels": each["filters"], "parameters": 1234}
            for each, side in zip([*blocks, {"filters": 2}], _sides(blocks), strict=True)
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
    halved = np.cumsum([each["stride"] == 2 or each["pooling"] != "none" for each in blocks])
    return [224 >> int(times) for times in halved] + [1]


def _near(model: Mapping[str, Any], chosen: Mapping[str, Any]) -> bool:
    behind = chosen["validation_accuracy"]["value"] - model["validation_accuracy"]["value"]
    return behind * IMAGES < 12


def _interval(right: int) -> dict[str, float]:
    """Return an accuracy with an interval for three epochs of forty candidates at once."""
    found = proportion_interval(right, IMAGES, LEVEL / 120)
    return found.model_dump(exclude={"method"})


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
        each["validation_accuracy"]["value"] >= value
        and each["bytes"] < model["bytes"]
        and each["latency_ms"] < model["latency_ms"]
        for each in others
    )


def _family(chosen: Mapping[str, Any], models: list[dict[str, Any]]) -> list[dict[str, Any]]:
    wanted = {chosen["name"]}
    for each in reversed(models):
        if each["name"] in wanted:
            wanted.update(each["parents"])
    return [each for each in models if each["name"] in wanted]
