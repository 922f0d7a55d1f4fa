"""Loads and runs models of Keras 2 and 3, and builds architectures of `keras.applications`."""

from __future__ import annotations

from collections.abc import Iterator

from pupila import Loader, Runner, Technique, hookimpl
from pupila_keras import recognise
from pupila_keras.config import UntrainedModel


@hookimpl
def pupila_loaders() -> Iterator[Loader]:
    """Yield a loader for each supported kind of file, and one that refuses pickles."""
    yield Loader(
        name="keras",
        summary="Keras archives (.keras) of Keras 3 and of Keras 2.12 or newer",
        produces="keras",
        recognises=recognise.is_archive,
        implementation=f"{__name__}.archive:load",
        builds_in_scaling=True,
    )
    yield Loader(
        name="keras-h5",
        summary="Keras HDF5 files (.h5) of Keras 2 and 3",
        produces="keras",
        recognises=recognise.is_hdf5,
        implementation=f"{__name__}.hdf5:load",
        builds_in_scaling=True,
    )
    yield Loader(
        name="pickle",
        summary="pickles (.pkl, .joblib, .pt), which are refused: opening one runs its code",
        produces="",
        recognises=recognise.is_pickle,
        implementation=f"{__name__}.pickles:refuse",
    )
    yield Loader(
        name="savedmodel",
        summary="TensorFlow SavedModel folders",
        produces="savedmodel",
        recognises=recognise.is_savedmodel,
        implementation=f"{__name__}.savedmodel:load",
        builds_in_scaling=True,
    )


@hookimpl
def pupila_techniques() -> Iterator[Technique]:
    """Yield the technique that builds an architecture without training it."""
    yield Technique(
        name="untrained",
        summary="An architecture of Keras with random weights: its size and speed, before training",
        implementation=f"{__name__}.architectures:untrained",
        config=UntrainedModel,
        accepts=frozenset(),
        max_inputs=0,
        min_inputs=0,
        produces="keras",
        needs_data=True,
    )


@hookimpl
def pupila_runners() -> Iterator[Runner]:
    """Yield a runner for each of the two formats that the loaders write."""
    yield Runner(
        name="keras",
        summary="Keras 3 on TensorFlow",
        format="keras",
        implementation=f"{__name__}.runners:open_keras",
        check=f"{__name__}.archive:check",
    )
    yield Runner(
        name="savedmodel",
        summary="TensorFlow's own SavedModel loader",
        format="savedmodel",
        implementation=f"{__name__}.runners:open_savedmodel",
        check=f"{__name__}.savedmodel:check",
    )
