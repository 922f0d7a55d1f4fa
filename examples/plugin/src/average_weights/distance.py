"""The command `pupila weights-distance`, which tells whether an average can make sense."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from pupila import PupilaError

_Model = Annotated[Path, typer.Argument(help="Model file of Keras.", show_default=False)]


def show(first: _Model, second: _Model) -> None:
    """Show how far the weights of two Keras models are from each other.

    The distance is relative to the length of the first model's weights: fine-tunings of one model
    are near each other, models that were trained independently are about as far as random ones.
    """
    import keras

    ours, theirs = (
        [np.ravel(weight) for weight in keras.saving.load_model(path, compile=False).get_weights()]
        for path in (first, second)
    )
    if [weight.size for weight in ours] != [weight.size for weight in theirs]:
        raise PupilaError(
            f"{str(first)!r} and {str(second)!r} have weights of different shapes: name two "
            "fine-tunings of one model."
        )
    one, other = np.concatenate(ours), np.concatenate(theirs)
    typer.echo(f"{np.linalg.norm(one - other) / np.linalg.norm(one):.4f}")
