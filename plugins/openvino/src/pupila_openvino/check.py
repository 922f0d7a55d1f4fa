"""Checks an OpenVINO model before OpenVINO opens it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from xml.etree import ElementTree

from pupila import Artifact, PupilaError
from pupila.errors import join_names
from pupila_openvino.files import GRAPH_NAME, WEIGHTS_NAME

_MOST_XML_BYTES = 1 << 26
"""Largest allowed graph, as it is read whole. A large classifier's has a few MB."""
_MOST_BYTES = 1 << 33
"""Largest size of all values of one image together: ten times what the largest classifiers need."""
_BYTES_OF_VALUE = 4
_OWN = re.compile(r"opset\d+")
"""Sets of OpenVINO's own operators. Others come from a library that a program loads."""


def check(artifact: Artifact) -> None:
    """Refuse a model that is damaged, has custom operators, or takes too much memory.

    Raises:
        PupilaError: the model is damaged, has custom operators or other files, or takes too much
            memory.
    """
    try:
        problem = _problem(artifact)
    except (ValueError, KeyError, RecursionError, ElementTree.ParseError) as error:
        problem = f"it is damaged ({type(error).__name__})"
    if problem:
        raise PupilaError(
            f"{str(artifact.path / GRAPH_NAME)!r}: {problem}. Expected a graph and its weights, as "
            f"export-openvino writes them: export the model again."
        )


def _problem(artifact: Artifact) -> str | None:
    path, files = artifact.path / GRAPH_NAME, set(artifact.record.files)
    if files != {GRAPH_NAME, WEIGHTS_NAME}:
        return f"the artifact has the files {join_names(map(repr, sorted(files)))}"
    if path.stat().st_size > _MOST_XML_BYTES:
        return f"it has more than {_MOST_XML_BYTES:,} bytes"
    text = path.read_text("utf-8")
    if "<!" in text or "\0" in text:
        return "it defines entities or is not in UTF-8"
    layers = [*ElementTree.fromstring(text).iter("layer")]  # noqa: S314 - see above
    if not layers:
        return "it has no layers"
    if custom := sorted({layer.attrib["type"] for layer in layers if not _is_own(layer)}):
        return f"it has the operators {join_names(map(repr, custom))}, which are not OpenVINO's own"
    stored = (artifact.path / WEIGHTS_NAME).stat().st_size
    for data in (data for layer in layers for data in layer.iter("data")):
        end = int(data.get("offset", 0)) + int(data.get("size", 0))
        if data.get("offset") and end > stored:
            return f"it names {end:,} bytes of weights, and {stored:,} are there"
    if (size := _BYTES_OF_VALUE * sum(map(math.prod, _shapes(layers)))) > _MOST_BYTES:
        return f"it has values of {size:,} bytes together, more than {_MOST_BYTES:,}"
    return None


def _is_own(layer: ElementTree.Element) -> bool:
    return _OWN.fullmatch(layer.attrib["version"]) is not None


def _shapes(layers: list[ElementTree.Element]) -> Iterator[list[int]]:
    """Yield the shape of every output, with 1 for an open length."""
    for layer in layers:
        for port in layer.iterfind("output/port"):
            yield [max(int(axis.text or 0), 1) for axis in port.iterfind("dim")]
