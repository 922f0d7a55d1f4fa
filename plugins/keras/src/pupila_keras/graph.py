"""How a layer is called in a stored graph: Keras 2's notation read, Keras 3's written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from pupila import PupilaError

_CONSTANT = "_CONSTANT_VALUE"
"""What Keras 2 writes in place of a layer's name where the first argument is a number."""

Address = list[Any]
"""Layer name, which of its calls, which of that call's outputs."""


@dataclass(frozen=True)
class Call:
    """One call of a layer: the tensors it is given, and its keyword arguments."""

    tensors: list[Address]
    keywords: dict[str, Any]

    @classmethod
    def of(cls, node: list[Any], layer: str) -> Call:
        """Read a node of Keras 2: `[[name, call, output, keywords], …]`, or one of these alone.

        Raises:
            PupilaError: the layer is called with something else first than tensors.
        """
        parts = [node] if node and isinstance(node[0], str) else node
        if any(part[0] == _CONSTANT for part in parts):
            raise PupilaError(
                f"Layer {layer!r} computes with a number on the left (`1 - x`), which no layer of "
                "Keras 3 does: write it with the tensor on the left, and save the model again."
            )
        keywords: dict[str, Any] = parts[0][3] if len(parts[0]) > 3 else {}
        given = {name: value for name, value in keywords.items() if value is not None}
        return cls([list(part[:3]) for part in parts], given)

    def serialised(self, classes: dict[str, str]) -> dict[str, Any]:
        """Write it as Keras 3 does; `classes` tells the class of each layer of the graph."""
        tensors = [_tensor(address, classes) for address in self.tensors]
        keywords = {
            name: _tensor(value, classes) if _is_address(value, classes) else value
            for name, value in self.keywords.items()
        }
        return {"args": tensors if len(tensors) == 1 else [tensors], "kwargs": keywords}


def valid_name(name: str) -> str:
    """Layer names of Keras 3 hold no slash."""
    return name.replace("/", "_")


def graph_ends(addresses: list[Any], classes: dict[str, str]) -> Any:
    """Translate the addresses of a graph's inputs or outputs.

    One address stands alone, since a list of one makes Keras 3 answer with a list. Here a nested
    Functional counts its own node as its first call, and a Sequential does not.
    """
    flat = [addresses] if isinstance(addresses[0], str) else addresses
    ends = [
        [valid_name(name), call - (classes[name] == "Sequential"), output]
        for name, call, output in flat
    ]
    return ends[0] if len(ends) == 1 else ends


def _is_address(value: Any, classes: dict[str, str]) -> bool:
    if not isinstance(value, list):
        return False
    parts = cast("list[Any]", value)
    return len(parts) == 3 and parts[0] in classes


def _tensor(address: Address, classes: dict[str, str]) -> dict[str, Any]:
    """Point at a tensor; Keras 2 counts a nested model's own node as its first call, 3 does not."""
    name, call, output = address
    call -= classes[name] in ("Functional", "Model", "Sequential")
    history = [valid_name(name), call, output]
    # Keras 3 looks the tensor up by its history, and reads neither shape nor type
    config = {"shape": [None], "dtype": "float32", "keras_history": history}
    return {"class_name": "__keras_tensor__", "config": config}
