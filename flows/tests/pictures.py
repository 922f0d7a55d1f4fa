"""Small pictures of two classes, as data to read, alter and make others of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from pupila import manifest
from pupila.dataset import Dataset
from pupila.testing import ignore_progress


def picture(path: Path, colour: tuple[int, int, int], seed: int = 0, side: int = 48) -> Path:
    """Write a noisy picture of one colour."""
    noise = np.random.default_rng(seed).normal(0, 20, (side, side + 8, 3))
    pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def red_and_green(folder: Path) -> Path:
    """Write a CSV of red eyes and of green others, four of each in every split."""
    lines = ["path,label,split,source,patient"]
    colours = {"eye": (190, 80, 30), "other": (60, 150, 90)}
    for number, split in enumerate(("train", "validation", "test")):
        for label, colour in colours.items():
            for image in range(4):
                name = f"{label}-{split}-{image}.png"
                picture(folder / name, colour, seed=1000 * number + 10 * image + len(label))
                lines.append(f"{name},{label},{split},{'disc' if image % 2 else 'whole'},p{name}")
    path = folder / "data.csv"
    path.write_text("\n".join(lines))
    return path


def scanned(data: Path) -> Dataset:
    """Read what `red_and_green` wrote."""
    cache = data.parent / "cache"
    frame = manifest.scan(manifest.read(data), cache, ignore_progress)
    return Dataset.of(frame, ("eye", "other"), cache)
