"""Settings of the exporter `site`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from pupila import Config, PupilaError, installed
from pupila.cropping import MARGIN
from pupila.errors import list_names
from pupila.plugin import AddedStep, GivenModel

AUTO = "auto"
"""Value of `filter` that asks for a filter of the data's own images."""
CHAIN = "chain"
"""Format of chains, which have their own filters."""
LOCALIZATION = "localization"
"""Task of models that find a place."""
NonEmpty = Annotated[str, Field(min_length=1)]
_LEARNER, _CONVERTER = "one-class-distance", "export-tflite"
"""Steps that make the filter of `filter: auto`; other packages have them."""


class Site(Config):
    """Settings of `site`."""

    former_names: ClassVar[Mapping[str, str]] = {"gate": "filter"}

    title: str = Field(
        default="", description="Title of the page; by default, one in the visitor's language."
    )
    names: tuple[str, ...] | None = Field(
        default=None,
        description="Name of each input on the page, in order; by default, the plugin that made "
        "it and six digits of its digest. That of a filter may be left out, and of one that is "
        "added it is.",
    )
    filter: str | None = Field(
        default=None,
        description=(
            "Class of images that the models are meant for. The last input is then a filter, a "
            "model that recognises this class: the page warns of images that it does not accept. "
            "`auto` makes a filter from the training images (`one-class-distance`), on features of "
            "the Keras model that the first input is made from. Without a filter, the page says "
            "that it cannot tell what an image shows."
        ),
    )
    verdicts: tuple[NonEmpty, NonEmpty] | None = Field(
        default=None,
        description="What the page says of an image at or above a model's threshold, and of one "
        "below it, such as `[Suspicious, Not suspicious]`; by default, whether there are signs of "
        "the positive class.",
    )
    study: bool = Field(
        default=False,
        description="Whether the page shows, beside the speed on the visitor's device, the "
        "latencies that a study of 2023 measured.",
    )

    margin: float | None = Field(
        default=None,
        ge=1,
        le=10,
        description=(
            "Side of the crop that a page of `localization` models shows, as a multiple of the "
            f"larger of width and height of what was found; by default {MARGIN}."
        ),
    )

    def check_inputs(self, count: int) -> None:
        """Check that the settings fit a step with `count` inputs.

        Raises:
            PupilaError: the filter is the only input, or the number of names differs from `count`.
        """
        if self.filter not in (None, AUTO) and count < 2:
            raise PupilaError(
                f"`filter: {self.filter}` makes the last input a filter, and there is no other: "
                f"give at least one model before it, or `filter: {AUTO}` to have one made."
            )
        unnamed = 0 if self.filter is None else 1
        if self.names is not None and not count - unnamed <= len(self.names) <= count:
            added = f"; the filter that `filter: {AUTO}` adds needs none"
            raise PupilaError(
                f"`names` is {list_names(self.names)}, for {count} inputs: give a name for each, "
                f"in the same order{added if self.filter == AUTO else ''}."
            )

    def check_models(self, models: Sequence[GivenModel]) -> None:
        """Check that the settings are for pages of such models.

        Raises:
            PupilaError: `filter` or `margin` is set for chains, `margin` for classifiers, or
                `verdicts` for locators.
        """
        if not models:
            return
        first = models[0]
        if first.format == CHAIN:
            if self.filter is not None:
                raise PupilaError(
                    f"`filter: {self.filter}` is for pages of single models, and {first.name!r} is "
                    f"a chain: leave it out, and give the filter to the step `{CHAIN}` as its "
                    f"first input, and its class as `photograph`."
                )
            if self.margin is not None:
                raise PupilaError(
                    f"`margin: {self.margin:g}` is for pages of single models, and {first.name!r} "
                    f"is a chain: leave it out, and set it in the step `{CHAIN}`."
                )
        elif self.margin is not None and first.task not in (None, LOCALIZATION):
            raise PupilaError(
                f"`margin: {self.margin:g}` is for pages that cut out what they found, and models "
                f"of {first.task} find no place: leave it out."
            )
        elif self.verdicts is not None and first.task == LOCALIZATION:
            raise PupilaError(
                f"`verdicts` are said of a classifier's answer, and {first.name!r} is a model of "
                f"{first.task}: leave them out."
            )

    def warnings(self, models: Sequence[GivenModel]) -> Iterable[str]:
        if self.filter is None and not any(model.format == CHAIN for model in models):
            yield (
                "The page has no filter, so it answers for any picture, and says that it cannot "
                f"tell what a picture shows. `filter: {AUTO}` makes a filter from the training "
                "images; or give one as the last input, and its class as `filter`."
            )

    def added_steps(self, step: str, models: Sequence[GivenModel]) -> Sequence[AddedStep]:
        """Return the steps that make the filter of `filter: auto`.

        Raises:
            PupilaError: the settings do not fit the models, no Keras model lies behind them, or
                the package that trains filters is not installed.
        """
        if self.filter != AUTO or not models:
            return ()
        self.check_models(models)
        learned = installed().step(_LEARNER).accepts
        origin = next((model.name for model in models if model.format in learned), None)
        if origin is None:
            raise PupilaError(
                f"`filter: {AUTO}` learns from the features of a Keras model, and "
                f"{models[0].name!r} is made from none: give a filter as the last input, and its "
                f"class as `filter`."
            )
        keras, flatbuffer = f"{step}-filter-keras", f"{step}-filter"
        return (
            AddedStep(keras, _LEARNER, (origin,), {"positive": None}),
            AddedStep(flatbuffer, _CONVERTER, (keras,)),
        )
