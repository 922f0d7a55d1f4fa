"""Writes a first recipe: what was found out about images and model, as commented YAML."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from pupila_flows.init.choose import Pupil
from pupila_flows.init.model import Reading
from pupila_flows.init.split import Images
from pupila_flows.report import formatting

_SECONDS_PER_PIXEL = 8.8e-7
"""Training time of one pixel of an image in one epoch on two cores, for a note in the recipe."""
_SECONDS_BESIDE = 90


@dataclass(frozen=True)
class Beginning:
    """Everything that a first recipe says."""

    file: Path
    model: Path
    images: Images
    positive: str
    reading: Reading
    pupil: Pupil
    margins: Mapping[str, float]
    limit: int | None = None
    """Largest size of the int8 file in bytes, if there is a budget."""
    is_for_browsers: bool = False
    is_for_microcontrollers: bool = False

    @property
    def text(self) -> str:
        """The recipe as YAML."""
        environment = Environment(  # noqa: S701 - it makes YAML, not HTML
            loader=PackageLoader("pupila_flows.init"),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        return environment.get_template("recipe.yaml.jinja").render(self._values()).rstrip() + "\n"

    def _values(self) -> dict[str, Any]:
        test, train = (self.images.counts(split) for split in ("test", "train"))
        reading = self.reading
        return {
            "title": f"Makes {self.model.name} small, for images of {self.images.path.name}.",
            "name": self.file.stem,
            "file": self.file.name,
            "minutes": formatting.duration(self._seconds(sum(train.values()))),
            "data": _yaml(self._relative(self.images.path)),
            "counts": self._counts(),
            "positive": _yaml(self.positive),
            "model": _yaml(self._relative(self.model)),
            "classes": f"[{', '.join(map(_yaml, reading.classes))}]",
            "accuracy": formatting.percent(reading.accuracy),
            "output": reading.output,
            "preprocess": reading.preprocess,
            "pupil": self.pupil,
            "micro": self.is_for_microcontrollers,
            "browser": self.is_for_browsers,
            "margins": self.margins,
            "test": sum(test.values()),
            "limit": self.limit,
        }

    def _counts(self) -> str:
        splits = ("train", "validation", "test")
        sizes = [f"{sum(self.images.counts(split).values())} {split}" for split in splits]
        together = self.images.groups and len(self.images.frame) - self.images.groups
        kept = f"; {together} were kept with images of the same patient or like them"
        return f"{', '.join(sizes)} images{kept if together else ''}"

    def _relative(self, path: Path) -> str:
        return os.path.relpath(path.absolute(), self.file.absolute().parent)

    def _seconds(self, images: int) -> float:
        """Return about how long a run takes: pupil and control are trained on so many images."""
        pixels = 2 * self.pupil.epochs * images * self.pupil.size**2
        return _SECONDS_BESIDE + pixels * _SECONDS_PER_PIXEL


def _yaml(text: str) -> str:
    """Write a text so that YAML reads it as a text."""
    is_plain = text.replace("_", "").replace("-", "").replace("/", "").replace(".", "").isalnum()
    return text if is_plain and not text[0].isdigit() and text[0] not in "-." else json.dumps(text)
