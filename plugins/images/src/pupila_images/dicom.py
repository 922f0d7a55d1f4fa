"""Reads the pixels of DICOM files as a viewer shows them; reads nothing about the patient.

PS3.3 C.7.6.3 says what stored values are, C.11.1 how they become values of the modality, and C.11.2
how those become the grey of a display.
"""

from __future__ import annotations

import struct
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, config
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.uid import UID

from pupila.images import check_size

_pydicom: Any = import_module("pydicom")  # its functions have no complete types
_pixels: Any = import_module("pydicom.pixels")
warnings.filterwarnings("ignore", module=r"pydicom\b")
config.settings.reading_validation_mode = config.IGNORE  # a warning could repeat a value of a file

_DAMAGED = (
    *(AttributeError, ArithmeticError, LookupError, TypeError, NotImplementedError),
    *(struct.error, BytesLengthException),
)
"""What pydicom raised on 15,000 damaged files, besides `ValueError`s."""
_GREY = ("MONOCHROME1", "MONOCHROME2")
_HEADER = (
    *("TransferSyntaxUID", "SOPClassUID", "Rows", "Columns", "SamplesPerPixel"),
    *("PhotometricInterpretation", "BitsAllocated", "BitsStored", "PixelRepresentation"),
    *("ModalityLUTSequence", "RescaleSlope", "RescaleIntercept", "VOILUTSequence"),
    *("WindowCenter", "WindowWidth", "VOILUTFunction", "NumberOfFrames"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
    *("RedPaletteColorLookupTableDescriptor", "RedPaletteColorLookupTableData"),
    *("GreenPaletteColorLookupTableDescriptor", "GreenPaletteColorLookupTableData"),
    *("BluePaletteColorLookupTableDescriptor", "BluePaletteColorLookupTableData"),
    "FloatPixelData",
)
"""The elements that are read, besides the _pixels."""


def read(path: Path) -> NDArray[np.uint8]:
    """Return the first frame of a DICOM file, `(height, width)` or `(height, width, 3)`.

    Grey values get the rescale slope, then the first window or VOI LUT of the file. Without one, 8
    bits stay as they are, and more are scaled from the lowest to the highest value of the frame, as
    viewers do. MONOCHROME1 is inverted. YBR and palettes become RGB.

    Raises:
        ValueError: it is not DICOM, is damaged, has no pixels, or is compressed in a way that needs
            another package.
    """
    try:
        return _read(path)
    except _DAMAGED as error:  # without its text, which may have values of other elements
        raise ValueError(f"it is damaged or incomplete ({type(error).__name__})") from None


def _read(path: Path) -> NDArray[np.uint8]:
    header = _header(path)
    check_size(int(header.Columns), int(header.Rows))
    frame = _frame(path, header)
    kind = str(header.PhotometricInterpretation)
    if kind == "PALETTE COLOR":
        frame = _pixels.apply_color_lut(frame, header)
        return _to_bytes(frame, 0, 255 if frame.dtype == np.uint8 else 65535)
    if kind in _GREY:
        grey = _grey(frame, header)
        return np.invert(grey) if kind == "MONOCHROME1" else grey
    return _to_bytes(frame, 0, 2 ** int(header.BitsStored) - 1)


def _frame(path: Path, header: Dataset) -> NDArray[Any]:
    """Return the stored values of the first frame; YBR is RGB already.

    Raises:
        ValueError: they cannot be decompressed.
    """
    try:
        return _pixels.pixel_array(str(path), index=0)
    except RuntimeError as error:
        name = UID(str(header.file_meta.TransferSyntaxUID)).name
        reason = str(error).splitlines()[-1].strip()
        raise ValueError(f"its pixels ({name}) cannot be decoded: {reason}") from None


def _header(path: Path) -> Dataset:
    """Return the elements of a file that say what its pixels are.

    Raises:
        ValueError: it is not DICOM, has no pixels, or none that can be decoded.
    """
    try:
        header = _pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_HEADER))
    except InvalidDicomError:
        raise ValueError("it does not begin as a DICOM file") from None
    if "Rows" not in header or "PhotometricInterpretation" not in header:
        kind = UID(str(header.get("SOPClassUID", "")))
        is_known = kind and kind.name != str(kind)
        raise ValueError(f"it has no image: it is {kind.name if is_known else 'of another kind'}")
    syntax = UID(str(header.file_meta.get("TransferSyntaxUID", "")))
    if syntax.is_compressed and not _can_decode(syntax):
        raise ValueError(
            f"its pixels are compressed as {syntax.name}, which needs another package: "
            f"`pip install pylibjpeg[all]`, or decompress the file"
        )
    return header


def _can_decode(syntax: UID) -> bool:
    try:
        return _pixels.get_decoder(syntax).is_available
    except NotImplementedError:
        return False


def _grey(frame: NDArray[Any], header: Dataset) -> NDArray[np.uint8]:
    groups = _functional_groups(header)
    rescale = _first(groups, "PixelValueTransformationSequence") or header
    window = _first(groups, "FrameVOILUTSequence") or header
    if "VOILUTSequence" in window:
        table = window.VOILUTSequence[0]
        values = _pixels.apply_modality_lut(frame, rescale)
        return _to_bytes(_pixels.apply_voi(values, window), 0, 2 ** int(table.LUTDescriptor[2]) - 1)
    values: NDArray[Any] = _pixels.apply_modality_lut(frame, rescale)
    if "WindowCenter" in window and "WindowWidth" in window:
        return _windowed(values.astype(np.float64), window)
    if values.dtype == np.uint8:
        return values
    return _to_bytes(values, float(values.min()), float(values.max()))


def _functional_groups(header: Dataset) -> list[Dataset]:
    """Return what an enhanced object says of its first frame, and then of all frames."""
    names = ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence")
    return [header[name].value[0] for name in names if header.get(name)]


def _first(groups: list[Dataset], sequence: str) -> Dataset | None:
    return next((group[sequence].value[0] for group in groups if group.get(sequence)), None)


def _windowed(values: NDArray[np.float64], window: Dataset) -> NDArray[np.uint8]:
    """Return grey levels at the first window, by its function in PS3.3 C.11.2.1."""
    centre, width = (_number(window[name].value) for name in ("WindowCenter", "WindowWidth"))
    function = str(window.get("VOILUTFunction") or "LINEAR").upper()
    if function == "SIGMOID":
        exponent = np.clip(-4 * (values - centre) / max(width, 1e-9), -700, 700)
        return _to_bytes(1 / (1 + np.exp(exponent)), 0, 1)
    if function == "LINEAR":
        centre, width = centre - 0.5, width - 1
    half = max(width, 1e-9) / 2
    return _to_bytes(values, centre - half, centre + half)


def _number(value: Any) -> float:
    """Return the first of the numbers that an element has."""
    return float(value if isinstance(value, int | float) else np.ravel(value)[0])


def _to_bytes(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Scale values from `low`..`high` to 0..255; others are clipped."""
    if (low, high) == (0, 255) and values.dtype == np.uint8:
        return values
    scaled = (values.astype(np.float64) - low) / max(high - low, 1e-9) * 255
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
