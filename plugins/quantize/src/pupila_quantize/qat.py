"""The technique `qat`: continues training a model with simulated int8, then writes it in int8.

Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference" (CVPR), section 3; see `pupila_quantize.annotate` for the
equation. The model learns from the labels and from the answers of the float model, with the loss of
the task (for classification Hinton et al. 2015, `pupila.training.loss`; for quantisation: Mishra
and Marr 2018, "Apprentice", scheme C).
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from pupila import Artifact, Dataset, OutputSpec, Step, StepResult, keras_files
from pupila.arrays import Pixels
from pupila.digest import digest_json
from pupila.litert.packing import repack
from pupila.measured import Measured
from pupila.task import answers_of_outputs, methods_of
from pupila.training.checkpoint import Checkpoint, TrainingHistory
from pupila.training.fitting import train
from pupila.training.retraining import RetrainingTargets
from pupila_quantize import structure
from pupila_quantize.annotate import Quantised, add_fake_quantisation
from pupila_quantize.bridge import split_preprocessing, to_tf_keras
from pupila_quantize.comparing import FloatReference, add_warning, predict
from pupila_quantize.config import IoType, Qat
from pupila_quantize.ending import append_activation
from pupila_quantize.graph import float_operators
from pupila_quantize.qat_training import Trainee, before_activation

tf = keras_files.import_tensorflow()

_MODEL_NAME = "model.tflite"
_SIGNATURE = "serving_default"
_AT_A_TIME = 32


def qat(step: Step[Qat]) -> StepResult:
    """Train a Keras model with simulated int8, and write it as an int8 `model.tflite`.

    The model must be a graph of Keras layers. Its preprocessing becomes a 1 × 1 convolution, also
    in int8. Before training, batch normalisation is folded and dropout is left out.

    `measured` has:

    * the comparison with the float model on the validation images (see
      `pupila_quantize.comparing`), and the training history;
    * how the file differs from the trained model: `export_agreement` is the fraction of validation
      images with the same answer, `export_largest_difference` and `export_mean_difference` are
      differences of the numbers in answers, such as probabilities;
    * `sparsity` and `clusters`, the structure that was preserved (see `pupila_quantize.structure`);
    * `output_only_layers`, the names of layers without an int8 kernel;
    * `float_operators`, the number of operators of each name that still compute in float (see
      `pupila_quantize.ending` for the last operator).

    Raises:
        PupilaError: the model is not a graph of layers, a layer cannot be trained for int8, a
            weight is not finite, the model's classes differ from those of the data, or the loss
            stops being finite.
    """
    (artifact,) = step.inputs
    quantised = _quantise(artifact)
    training, validation = step.split("train"), step.split("validation")
    history = _train(step, quantised, training, validation)
    target, io_type = step.output / _MODEL_NAME, step.config.io_type
    content, output = convert(quantised.model, artifact.record.output, io_type)
    target.write_bytes(repack(content))
    comparison = add_warning(FloatReference.of(step).compare(target, output))
    pixels = validation.pixels(artifact.record.input)
    measured = Measured(
        comparison,
        history.summary(validation_fidelity=history.epochs[history.best_epoch].get("val_fidelity")),
        _export_difference(step, quantised.model, pixels, target, output),
        structure.measure_structure(quantised.model),
        {"output_only_layers": quantised.output_only, "float_operators": float_operators(target)},
    )
    kept = artifact.record.sparsity and measured["sparsity"]
    return StepResult.like(
        artifact, format="tflite", output=output, untrained=False, sparsity=kept, measured=measured
    )


def _quantise(artifact: Artifact) -> Quantised:
    """Return the artifact's model with fake quantisation and the declared input size.

    A model may accept images of any size, but an int8 file cannot. All new layers get explicit
    names. Otherwise Keras would number them, and the file, which contains the names, would differ
    from run to run.
    """
    keras = keras_files.import_keras()
    image = keras.Input(artifact.record.input.shape, name="image")
    model = keras.Model(image, keras_files.load(artifact)(image), name="qat")
    preprocessing, body = split_preprocessing(model)
    return add_fake_quantisation(to_tf_keras(body), preprocessing)


def _train(
    step: Step[Qat], quantised: Quantised, training: Dataset, validation: Dataset
) -> TrainingHistory:
    (artifact,), config = step.inputs, step.config
    targets = RetrainingTargets.of(step)
    trainee = Trainee(
        quantised.model,
        artifact.record.output,
        targets.loss,
        targets.right,
        targets.validation.targets[0].shape[1],
        config,
        -(-len(training) // config.batch_size),
    )
    checkpoint = Checkpoint(step.scratch / "training.npz", _key(step, training, validation))
    return train(
        trainee,
        targets.train,
        targets.validation,
        config,
        step.seed,
        checkpoint,
        step.progress,
        targets.altered,
    )


def _key(step: Step[Qat], training: Dataset, validation: Dataset) -> str:
    """Return a digest of everything that determines the trained weights."""
    data = [training.fingerprint, validation.fingerprint]
    config = step.config.model_dump(exclude={"io_type"})
    return digest_json([config, step.seed, data, step.inputs[0].digest])


def convert(model: Any, output: OutputSpec, io_type: IoType) -> tuple[bytes, OutputSpec]:
    """Convert a model with fake quantisation; return the flatbuffer and its output spec.

    `output` is the output spec of the model. `pupila_quantize.ending` says what happens to the last
    activation.
    """
    logits, is_cut = before_activation(model, output)
    if not is_cut or (io_type == "int8" and output.kind == "sigmoid"):
        return _to_flatbuffer(model, io_type), output
    if io_type == "int8":
        return _to_flatbuffer(logits, io_type), output.in_training
    return append_activation(_to_flatbuffer(logits, io_type), output.kind), output


def _to_flatbuffer(model: Any, io_type: IoType) -> bytes:
    """Convert a model with a batch size of one, which LiteRT.js needs.

    Only the variables and one function are saved: saving the whole model takes ten times as long.
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
    """Compare the answers of the trained model and the written file for every image."""
    output = step.inputs[0].record.output
    starts = range(0, len(pixels), _AT_A_TIME)
    batches = (pixels[start : start + _AT_A_TIME].astype(np.float32) for start in starts)
    trained = np.concatenate([np.asarray(model(batch, training=False)) for batch in batches])
    expected = answers_of_outputs(output, trained.reshape(len(trained), -1))
    actual = answers_of_outputs(written, predict(target, pixels, step.progress))
    difference = np.abs(actual - expected)
    return {
        "export_agreement": float(methods_of(output.task).same(actual, expected).mean()),
        "export_largest_difference": float(difference.max()),
        "export_mean_difference": float(difference.mean()),
    }
