"""Checks measured values: a value with the name of a model's field must fit that field."""

from __future__ import annotations

from pydantic import BaseModel, ValidationError

from pupila.evaluation import OperatingPoint
from pupila.measured.base import Measured, PluginWarning
from pupila.measured.exported import MicrocontrollerMemory, ProbeComparison, RuntimeComparison
from pupila.measured.one_class import OneClassBaselines, OneClassCalibration
from pupila.measured.pruning import ClusteringResult, FileSizes, PruningCurve, WeightSparsity
from pupila.measured.quantization import FloatComparison, LayerSensitivities
from pupila.measured.search import PickedModel, SearchResult
from pupila.measured.teachers import OracleTeaching, TeacherAgreement, TeacherQualities
from pupila.measured.training import TrainingSummary

MODELS: tuple[type[BaseModel], ...] = (
    ClusteringResult,
    FileSizes,
    FloatComparison,
    LayerSensitivities,
    MicrocontrollerMemory,
    OneClassBaselines,
    OneClassCalibration,
    OperatingPoint,
    OracleTeaching,
    PickedModel,
    PluginWarning,
    ProbeComparison,
    PruningCurve,
    RuntimeComparison,
    SearchResult,
    TeacherAgreement,
    TeacherQualities,
    TrainingSummary,
    WeightSparsity,
)
"""All models of values that built-in plugins note in `measured` of their artifacts."""


def problems(measured: Measured) -> list[str]:
    """Describe the values that have the name of a model's field but do not fit that field.

    If several models have a field of that name, the value must fit one of these fields. Missing
    values are not a problem, because a plugin notes only what it knows.
    """
    return [problem for name in measured for problem in _problems(measured, name)]


def _problems(measured: Measured, name: str) -> list[str]:
    by_kind = [_errors(measured, kind, name) for kind in MODELS if name in kind.model_fields]
    return [error for errors in by_kind for error in errors] if all(by_kind) else []


def _errors(measured: Measured, kind: type[BaseModel], name: str) -> list[str]:
    """Return why the value of `name` does not fit the field of `kind`; empty if it does."""
    known = {field: measured[field] for field in kind.model_fields if field in measured}
    try:
        kind.model_validate(known)
    except ValidationError as invalid:
        return [
            f"{'.'.join(map(str, error['loc'] or (name,)))} is not that of {kind.__name__}: "
            f"{error['msg']}"
            for error in invalid.errors()
            if error["loc"][:1] in ((), (name,))
        ]
    return []
