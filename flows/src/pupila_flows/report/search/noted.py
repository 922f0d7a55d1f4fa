"""What a search noted while it ran; what does not look like this is left out.

Whichever package's technique notes these fields in `measured` is drawn: the report knows none by
its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Fraction = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]


class _Noted(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Interval(_Noted):
    """An accuracy with its 95 % interval."""

    value: Fraction
    low: Fraction
    high: Fraction


class Block(_Noted):
    """One block of a model, as its genome says it."""

    kind: str
    filters: Count
    mark: int | None = None
    kernel: int = 3
    stride: int = 1
    normalised: bool = False
    activation: str = ""
    pooling: str = "none"
    hidden: int = 0
    squeeze: int = 0
    shortcut: bool = False


class Head(_Noted):
    """What turns the last feature map into an answer."""

    flatten: bool = False
    units: int = 0


class Genome(_Noted):
    """The form of a model."""

    blocks: tuple[Block, ...] = Field(min_length=1)
    head: Head = Head()


class Size(_Noted):
    """What a block gives, and the parameters in it."""

    rows: Count
    columns: Count
    channels: Count
    parameters: Count


class Model(_Noted):
    """A model with all that is known of it."""

    name: str
    bytes: int = Field(ge=1)
    validation_accuracy: Interval
    latency_ms: Annotated[float, Field(gt=0)] | None = None
    macs: Count | None = None
    epochs: Count | None = None
    generation: Count | None = None
    genome: Genome | None = None
    sizes: tuple[Size, ...] = ()
    """Of each block, and of the head."""


class Relative(_Noted):
    """The chosen model or one that it descends from; the first born stand first."""

    name: str
    parents: tuple[str, ...] = ()
    change: str = ""
    preserved: bool = False
    """Whether it computed the same as its parent when it was made."""
    generation: Count | None = None


class Candidate(_Noted):
    """A model that was tried; without an accuracy it failed, or there was no time for it."""

    name: str
    bytes: int = Field(ge=1)
    validation_accuracy: Fraction | None = None
    latency_ms: Annotated[float, Field(gt=0)] | None = None
    seconds: Seconds | None = None
    """When its last training ended."""
    failed: str | None = None


class Reached(_Noted):
    """An accuracy that none had reached before."""

    seconds: Seconds
    validation_accuracy: Fraction
    name: str = ""


class Teacher(_Noted):
    """A teacher, in the order in which the step names them."""

    validation_accuracy: Interval


class TakenWith(_Noted):
    """The technique that takes another model, and its setting for the name."""

    use: str
    setting: str


class Search(_Noted):
    """All that a search noted."""

    chosen: str
    front: tuple[Model, ...] = Field(min_length=1)
    chosen_model: Model | None = None
    tied: frozenset[str] = frozenset()
    """Models that cannot be told apart from the chosen one."""
    rule: str = ""
    family: tuple[Relative, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    history: tuple[Reached, ...] = ()
    validation_images: Count | None = None
    seconds: Seconds | None = None
    teachers: tuple[Teacher, ...] = ()
    taken_with: TakenWith | None = None

    @property
    def models(self) -> list[Model]:
        """The front and the chosen one, which may not be on it: the most accurate first."""
        known = {each.name: each for each in self.front}
        if self.chosen_model:
            known.setdefault(self.chosen_model.name, self.chosen_model)
        return sorted(
            known.values(),
            key=lambda each: (-each.validation_accuracy.value, each.name != self.chosen),
        )

    @property
    def best(self) -> Model | None:
        """The chosen model."""
        return next((each for each in self.models if each.name == self.chosen), None)

    @property
    def failed(self) -> list[Candidate]:
        return [each for each in self.candidates if each.failed is not None]

    def role(self, name: str) -> str:
        """Return the class of the style sheet: chosen, tied or other."""
        if name == self.chosen:
            return "chosen"
        return "tied" if name in self.tied else "other"


def read(measured: Mapping[str, object]) -> Search | None:
    """Return what a search noted, where this is what was noted."""
    try:
        return Search.model_validate(measured)
    except ValidationError:
        return None
