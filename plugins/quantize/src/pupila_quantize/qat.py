"""The technique `qat`: trains a model on while it computes as int8 will, then writes it in int8.

Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference" (CVPR), section 3; see `pupila_quantize.annotate` for the
equation. What it learns from are the labels and its own answers before it was quantised, by the
loss of `pupila.training.loss` (Hinton et al. 2015; for quantisation: Mishra and Marr 2018,
"Apprentice", scheme C).
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila import Artifact, Dataset, OutputSpec, Step, StepResult, keras_files
from pupila.arrays import Pixels
from pupila.digest import digest_json
from pupila.litert.packing import repack
from pupila.measured import Measured
from pupila.training.altered import altered_for
from pupila.training.batches import Images
from pupila.training.checkpoint import Checkpoint, TrainingHistory
from pupila.training.fitting import train
from pupila.training.loss import distillation_loss
from pupila.training.targets import labels_of, labels_of_views, pack_targets, softened_mean
from pupila.views import AS_IS
from pupila_quantize import structure
from pupila_quantize.annotate import Quantised, quantized
from pupila_quantize.bridge import split_preprocessing, to_tf_keras
from pupila_quantize.comparing import Comparison, answers, with_warning
from pupila_quantize.config import IoType, Qat
from pupila_quantize.ending import with_activation
from pupila_quantize.graph import float_operators
from pupila_quantize.qat_training import Trainee, before_activation

tf = keras_files.import_tensorflow()

_MODEL_NAME = "model.tflite"
_SIGNATURE = "serving_default"
_AT_A_TIME = 32


def qat(step: Step[Qat]) -> StepResult:
    """Write `model.tflite`, int8 inside, of a Keras model that was trained on for it.

    The model must be a graph of Keras layers. What it does to pixels first becomes a convolution
    of 1 × 1, in int8 as well. Batch normalisation is folded in before training, dropout left out.

    `measured` holds how the file does beside the float model on the validation images (see
    `pupila_quantize.comparing`), the course of the training, and how far the file is from what was
    trained: `export_agreement`, the fraction of the validation images given the same class, and
    `export_largest_difference` and `export_mean_difference` of probabilities. `sparsity` and
    `clusters` tell what was kept of them (see `pupila_quantize.structure`). `output_only_layers`
    have no int8 form; `float_operators` compute in float still, counted by name
    (see `pupila_quantize.ending` for the last one).

    Raises:
        PupilaError: the model is no graph, has a layer that cannot be trained for int8 or weights
            that are no numbers, its classes are not those of the data, or the loss is no longer a
            number.
    """
    (artifact,) = step.inputs
    made = _quantised(artifact)
    training, validation = step.split("train"), step.split("validation")
    history = _trained(step, made, training, validation)
    target, io_type = step.output / _MODEL_NAME, step.config.io_type
    content, output = flatbuffer(made.model, artifact.record.output, io_type)
    target.write_bytes(repack(content))
    compared = with_warning(Comparison.of(step).with_form(target, output))
    pixels = validation.pixels(artifact.record.input)
    measured = Measured(
        compared,
        history.summary(validation_fidelity=history.epochs[history.best_epoch].get("val_fidelity")),
        _export_difference(step, made.model, pixels, target, output),
        structure.told(made.model),
        {"output_only_layers": made.output_only, "float_operators": float_operators(target)},
    )
    kept = artifact.record.sparsity and measured["sparsity"]
    return StepResult.like(
        artifact, format="tflite", output=output, untrained=False, sparsity=kept, measured=measured
    )


def _quantised(artifact: Artifact) -> Quantised:
    """Return the artifact's model with fake quantisation, its input of the size that is declared.

    A model may leave rows and columns open, which a file in int8 cannot. Whatever is made has a
    name: Keras numbers what has none, and the file, which has the names in it, would be another
    one each time.
    """
    keras = keras_files.import_keras()
    image = keras.Input(artifact.record.input.shape, name="image")
    model = keras.Model(image, keras_files.load(artifact)(image), name="qat")
    preprocessing, body = split_preprocessing(model)
    return quantized(to_tf_keras(body), preprocessing)


def _trained(
    step: Step[Qat], made: Quantised, training: Dataset, validation: Dataset
) -> TrainingHistory:
    (artifact,), config = step.inputs, step.config
    taught = Images.of(
        training, artifact.record.input, _targets(step, training), config.augmentation
    )
    judged = Images.of(
        validation, artifact.record.input, [_validation_targets(step, validation)], AS_IS
    )
    classes = artifact.record.output.classes
    trainee = Trainee(
        made.model,
        artifact.record.output,
        [classes.index(name) for name in training.classes],
        distillation_loss(config.alpha, config.temperature),
        config,
        -(-len(training) // config.batch_size),
    )
    checkpoint = Checkpoint(step.scratch / "training.npz", _key(step, training, validation))
    altered = altered_for(step, artifact.record.input)
    return train(trainee, taught, judged, config, step.seed, checkpoint, step.progress, altered)


def _targets(step: Step[Qat], images: Dataset) -> list[NDArray[np.float32]]:
    """Return labels and the float model's logits of each view, `(images, 2 · classes)`."""
    augmentation = step.config.augmentation
    views = step.predictions.of_views(step.inputs[0], images, augmentation, step.progress)
    return [
        pack_targets(labels, softened_mean([answered], [1], step.config.temperature))
        for labels, answered in zip(labels_of_views(images, augmentation), views, strict=True)
    ]


def _validation_targets(step: Step[Qat], images: Dataset) -> NDArray[np.float32]:
    answered = step.predictions.of(step.inputs[0], images, step.progress)
    return pack_targets(labels_of(images), softened_mean([answered], [1], step.config.temperature))


def _key(step: Step[Qat], training: Dataset, validation: Dataset) -> str:
    """Digest of all that determines the weights."""
    data = [training.fingerprint, validation.fingerprint]
    config = step.config.model_dump(exclude={"io_type"})
    return digest_json([config, step.seed, data, step.inputs[0].digest])


def flatbuffer(model: Any, output: OutputSpec, io_type: IoType) -> tuple[bytes, OutputSpec]:
    """Convert a model with fake quantisation; return the file, and what its output means.

    What ends the model is as in `pupila_quantize.ending`.
    """
    logits, is_cut = before_activation(model)
    if not is_cut or (io_type == "int8" and output.kind == "sigmoid"):
        return _converted(model, io_type), output
    if io_type == "int8":
        return _converted(logits, io_type), output.model_copy(update={"kind": "logits"})
    return with_activation(_converted(logits, io_type), output.kind), output


def _converted(model: Any, io_type: IoType) -> bytes:
    """Convert a model; the batch is one, as LiteRT.js wants it.

    Saved are the variables and one function. Saving the model itself takes ten times as long.
    """
    module: Any = tf.Module()
    module.variables_of_model = list(model.variables)
    image = tf.TensorSpec((1, *model.inputs[0].shape[1:]), tf.float32, name="image")

    def answer(image: Any) -> dict[str, Any]:
        return {"output": model(image, training=False)}

    module.answer = tf.function(answer, input_signature=[image])
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures={_SIGNATURE: module.answer})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if io_type == "int8":
            converter.inference_input_type = converter.inference_output_type = tf.int8
        return converter.convert()


def _export_difference(
    step: Step[Qat], model: Any, pixels: Pixels, target: Path, written: OutputSpec
) -> dict[str, float]:
    """Compare what was trained with what was written, by probabilities of every image."""
    output = step.inputs[0].record.output
    starts = range(0, len(pixels), _AT_A_TIME)
    batches = (pixels[start : start + _AT_A_TIME].astype(np.float32) for start in starts)
    trained = np.concatenate([np.asarray(model(batch, training=False)) for batch in batches])
    expected = output.probabilities(trained)
    found = written.probabilities(answers(target, pixels, step.progress))
    difference = np.abs(found - expected)
    return {
        "export_agreement": float((found.argmax(-1) == expected.argmax(-1)).mean()),
        "export_largest_difference": float(difference.max()),
        "export_mean_difference": float(difference.mean()),
    }
