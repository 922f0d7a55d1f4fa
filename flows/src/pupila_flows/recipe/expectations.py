"""The recipe's section `data.expectations`."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from pupila.plugin import DataCheck
from pupila_flows.recipe.plugin_name import plugin_name


class Bounds(BaseModel):
    """Bounds that the data must meet before anything is trained on it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    minimum_width: int = Field(
        default=32, ge=1, description="Smallest width of an image, in pixels."
    )
    minimum_height: int = Field(
        default=32, ge=1, description="Smallest height of an image, in pixels."
    )
    minimum_images: int = Field(
        default=5, ge=1, description="Smallest number of images of a class in a split."
    )
    maximum_class_ratio: float = Field(
        default=3.0,
        ge=1,
        description="Largest ratio between the numbers of training images of two classes.",
    )
    minimum_brightness: float = Field(
        default=15.0, ge=0, le=255, description="Lowest mean luma of an image; 0 is black."
    )
    maximum_brightness: float = Field(
        default=240.0, ge=0, le=255, description="Highest mean luma of an image; 255 is white."
    )
    minimum_sharpness: float = Field(
        default=1.0,
        ge=0,
        description="Lowest variance of the Laplacian of an image, which is first shrunk to 256 "
        "pixels a side.",
    )
    near_duplicate_distance: int = Field(
        default=16,
        ge=0,
        le=32,
        description="Largest number of bits, of 256, in which the perceptual hashes of two "
        "near-duplicates differ.",
    )
    shortcut_auc: float = Field(
        default=0.8,
        gt=0.5,
        le=1,
        description="AUC above which size or mean colour alone is reported as a shortcut.",
    )

    checks: dict[Annotated[str, AfterValidator(plugin_name(DataCheck))], dict[str, Any]] = Field(
        default_factory=dict[str, dict[str, Any]],
        description="Settings of the checks that packages bring, by name (see `pupila plugins`).",
    )

    @model_validator(mode="after")
    def _brightness_is_a_range(self) -> Self:
        if self.minimum_brightness >= self.maximum_brightness:
            raise ValueError(
                f"minimum_brightness {self.minimum_brightness} must be below maximum_brightness "
                f"{self.maximum_brightness}"
            )
        return self
