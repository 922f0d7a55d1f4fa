"""Settings of the technique `chain`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import Field

from pupila import Config, PupilaError
from pupila.cropping import MARGIN
from pupila.errors import unknown_class
from pupila.plugin import CLASSIFICATION, GivenModel
from pupila.spec import MOST_PIXELS

FORMAT = "chain"
LOCALIZATION = "localization"
"""Task of locators."""

_ORDER = "a filter (which may be left out), a locator and a classifier, in this order"


class Chain(Config):
    """Settings of `chain`, whose inputs are a filter (or none), a locator and a classifier."""

    photograph: str | None = Field(
        default=None,
        description="Class of the filter that whole photographs have. The locator gets them; what "
        "has another class is turned away.",
    )
    crop: str | None = Field(
        default=None,
        description="Class of the filter that crops have. The classifier gets them as they are. By "
        "default, the filter recognises no crops.",
    )
    margin: float = Field(
        default=MARGIN,
        ge=0.5,
        le=10,
        description="Side of the square that is cropped, as a multiple of the larger of width and "
        "height of what the locator found; by default as ACRIMA's crops of optic discs.",
    )
    size: int = Field(
        default=1024,
        ge=32,
        le=MOST_PIXELS,
        description="Height and width of the chain's input in pixels. Larger photographs are "
        "reduced to it; crops are made of its pixels.",
    )

    def check_inputs(self, count: int) -> None:
        """Check that there is a filter if and only if the settings name its classes.

        Raises:
            PupilaError: they do not fit.
        """
        has_filter = count > 2
        if has_filter and self.photograph is None:
            raise PupilaError(
                f"A chain of {count} models begins with a filter, and `photograph` is missing: "
                f"name the filter's class of whole photographs."
            )
        given = {"photograph": self.photograph, "crop": self.crop}
        named = next((name for name, value in given.items() if value is not None), None)
        if not has_filter and named:
            raise PupilaError(
                f"`{named}` is {given[named]!r}, a class of a filter, but a chain of {count} "
                f"models has none: give {_ORDER}, or leave `{named}` out."
            )
        if self.crop is not None and self.crop == self.photograph:
            raise PupilaError(
                f"`photograph` and `crop` are both {self.crop!r}: whole photographs and crops need "
                f"a class each, or leave `crop` out."
            )

    def check_models(self, models: Sequence[GivenModel]) -> None:
        """Check that the models fit each other: their tasks, classes and sizes.

        Raises:
            PupilaError: they do not fit.
        """
        for model in models:
            if model.format == FORMAT:
                raise PupilaError(
                    f"{model.name!r} is a chain already: give the models that it was made of."
                )
        *filters, locator, classifier = models
        for title, model, task in (
            *(("filter", model, CLASSIFICATION) for model in filters),
            ("locator", locator, LOCALIZATION),
            ("classifier", classifier, CLASSIFICATION),
        ):
            if model.task not in (None, task):
                raise PupilaError(
                    f"{model.name!r} comes where the {title} of the chain does, whose task is "
                    f"{task}, but it has learned {model.task}: give {_ORDER}."
                )
            self._check_size(title, model)
        for model in filters:
            self._check_classes(model)
        if locator.classes and len(locator.classes) != 1:
            raise PupilaError(
                f"The locator {locator.name!r} finds {len(locator.classes)} things, and a chain "
                f"crops one: give a locator of one name."
            )

    def warnings(self, models: Sequence[GivenModel]) -> Iterable[str]:
        if len(models) == 2:
            yield (
                "The chain has no filter, so it answers for images of any kind: give a filter "
                "before the locator, and name its class in `photograph`."
            )

    def _check_size(self, title: str, model: GivenModel) -> None:
        if model.size and max(model.size) > self.size:
            height, width = model.size
            raise PupilaError(
                f"The {title} {model.name!r} reads {width} × {height} pixels, more than the "
                f"chain's {self.size} × {self.size}: give a `size` of at least {max(model.size)}."
            )

    def _check_classes(self, model: GivenModel) -> None:
        for field, name in (("photograph", self.photograph), ("crop", self.crop)):
            if name is not None and model.classes and name not in model.classes:
                what = f"`{field}` of the filter {model.name!r}"
                raise PupilaError(unknown_class(what, name, model.classes))
