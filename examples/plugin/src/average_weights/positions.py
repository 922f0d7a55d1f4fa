"""A layer of one's own, and the loader that writes it in layers of Keras.

Code from a model file is never run, so Pupila refuses a file with a class that is not Keras' own.
A loader has the code: it reads the file, and writes the same model of Keras' own layers. Every
technique and exporter then works with it, also where this package is not installed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from average_weights.archives import REGISTERED, config, foreign_classes
from pupila import InputSpec, OutputSpec, PupilaError, StepResult, keras_files

keras: Any = keras_files.import_keras()
layers, ops = keras.layers, keras.ops


@keras.saving.register_keras_serializable(REGISTERED.partition(">")[0])
class AddPositions(layers.Layer):
    """Adds a learned vector to each position of a sequence `(batch, positions, features)`."""

    def build(self, input_shape: Any) -> None:
        self.vectors = self.add_weight(shape=input_shape[1:], name="vectors")

    def call(self, sequence: Any) -> Any:
        return sequence + self.vectors


def load(source: Path, output: OutputSpec, folder: Path) -> StepResult:
    """Write the model of a `.keras` archive into `folder`, without layers of this package.

    Raises:
        PupilaError: the archive has classes that are of neither Keras nor this package, does not
            take one image of a fixed size, or does not give the declared output.
    """
    foreign = foreign_classes(config(source))
    if foreign:
        raise PupilaError(f"{str(source)!r} has the class {min(foreign)!r}, which is not known.")
    own = keras.saving.load_model(source, compile=False, safe_mode=True)
    shapes = own.input_shape[1:], own.output_shape[1:]
    if None in shapes[0] or shapes[0][2:] != (3,) or shapes[1] != (output.columns,):
        raise PupilaError(
            f"{str(source)!r} takes {shapes[0]} and gives {shapes[1]}: expected one RGB image of a "
            f"fixed size, and {output.columns} values. Correct `classes` or `output`."
        )
    model = keras.models.clone_model(own, clone_function=lambda layer: layer, call_function=_call)
    keras_files.save(model, folder)
    return StepResult(
        format="keras",
        input=InputSpec(height=shapes[0][0], width=shapes[0][1]),
        output=output,
        parameters=keras_files.parameters(model),
        macs=keras_files.macs(model),
    )


def _call(layer: Any, sequence: Any, *arguments: Any, **settings: Any) -> Any:
    """Call a layer again; in the place of `AddPositions`, look up and add an embedding."""
    if not isinstance(layer, AddPositions):
        return layer(sequence, *arguments, **settings)
    embedding = layers.Embedding(*layer.vectors.shape, name=f"{layer.name}_vectors")
    numbers = ops.cumsum(ops.ones_like(sequence[:, :, 0], dtype="int32"), axis=1) - 1
    added = layers.Add(name=layer.name)([sequence, embedding(numbers)])
    embedding.set_weights(layer.get_weights())
    return added
