"""Judges the images before anything is trained on them: `validate(frame, …)` by `Bounds`."""

from pupila_flows.validation.bounds import Bounds
from pupila_flows.validation.validate import validate

__all__ = ["Bounds", "validate"]
