"""Converts models between their declared output and the output that they are trained on."""

from __future__ import annotations

from typing import Any

from pupila import OutputSpec, PupilaError
from pupila.keras_files import import_keras
from pupila_prune.graph import channels_of
from pupila_prune.rebuild import keep_all, rebuild

keras = import_keras()
layers, ops = keras.layers, keras.ops


def without_activation(model: Any, output: OutputSpec) -> Any:
    """Return a copy of a flat model without its last activation, with all layers trainable.

    `output` is the declared output of the model. Only classifiers of probabilities have such an
    activation; without it, their output is logits.

    Raises:
        PupilaError: the model does not end in the declared activation.
    """
    settings: dict[str, Any] = {}
    kind = output.activation
    if kind:
        last, (before, *_) = _last_call(model)
        if _is_only_activation(last, kind):
            model = keras.Model(model.inputs[0], before, name=model.name)
        elif _activates(last, kind):
            settings = {last.name: {"activation": "linear"}}
        else:
            raise PupilaError(
                f"The model {model.name!r} ends in the layer {last.name!r}, a "
                f"{type(last).__name__}, where a {kind} was declared, as a layer of its own or as "
                f"the activation of the last. Correct the `output` declared for the model, "
                f"or end the model in a {kind}."
            )
    channels = channels_of(model)
    return rebuild(model, channels, keep_all(channels), settings)


def training_form(model: Any, output: OutputSpec) -> Any:
    """Return a model with the same layers whose output is `output.in_training`.

    `output` is the declared output of the uncut model. If that is a sigmoid, `model` has a single
    logit z, the logit of the second class, and the returned model has the logits 0 and z.
    """
    if output.activation != "sigmoid":
        return model
    (logit,) = model.outputs
    both = ops.concatenate([ops.zeros_like(logit), logit], axis=-1)
    return keras.Model(model.inputs[0], both, name=model.name)


def add_output(model: Any, output: OutputSpec) -> Any:
    """Return a model with the same layers that ends in the activation of the declared output."""
    if not output.activation:
        return model
    name = "probabilities"
    while name in {layer.name for layer in model.layers}:
        name = f"final_{name}"
    answer = layers.Activation(output.activation, name=name)(model.outputs[0])
    return keras.Model(model.inputs[0], answer, name=model.name)


def _last_call(model: Any) -> tuple[Any, list[Any]]:
    """Return the layer that computes the output, and its input tensors."""
    history = model.outputs[0]._keras_history
    node = history.operation._inbound_nodes[history.node_index]
    return history.operation, node.input_tensors


def _is_only_activation(layer: Any, kind: str) -> bool:
    if isinstance(layer, layers.Activation):
        return _activates(layer, kind)
    return kind == "softmax" and isinstance(layer, layers.Softmax)


def _activates(layer: Any, kind: str) -> bool:
    return getattr(layer, "activation", None) is getattr(keras.activations, kind)
