"""Pydantic models of what plugins measure while they make an artifact.

A technique combines the values that it measured:

```python
from pupila.measured import Measured, PluginWarning, PruningCurve, PruningRound

curve = PruningCurve(
    curve=(
        PruningRound(parameters=9000, validation_accuracy=0.97),
        PruningRound(parameters=4000, validation_accuracy=0.96),
    ),
    round=1,
    reason="Round 1 lost no more than the budget.",
)
measured = Measured(curve, PluginWarning(warning="Few images."), {"kernels_skipped": 2})
```

The last argument belongs to no model: any JSON values may be noted, and the report lists them.
Values are read by type, not by plugin:

```python
curve = artifact.record.measured.read(PruningCurve)
if curve:
    print(curve.curve[curve.round].parameters)
```

The report draws `TrainingSummary`, `PruningCurve`, `LayerSensitivities`, `TeacherAgreement` (with
`TeacherQualities` and `OracleTeaching`) and `SearchResult`, and shows a `PluginWarning`, for
plugins of any package. Your own pydantic models can be combined and read in the same way.

The fields of all models are side by side in one flat JSON object, `measured` in `artifact.json`.
Three names have two meanings in this object, with values of different shapes: `agreement` (of two
models, or between teachers), `history` (of one training, or of each round) and `sensitivity` (of
layers, or of an operating point).
"""

from pupila.measured.base import (
    Clock,
    Interval,
    Measured,
    MeasuredFields,
    Milliseconds,
    PluginWarning,
    Seconds,
    Timings,
)
from pupila.measured.checking import MODELS, problems
from pupila.measured.exported import MicrocontrollerMemory, ProbeComparison, RuntimeComparison
from pupila.measured.one_class import OneClassBaselines, OneClassCalibration, OneClassQuality
from pupila.measured.pruning import (
    ClusteringResult,
    FileSizePair,
    FileSizes,
    PruningCurve,
    PruningRound,
    StoredBytes,
    WeightSparsity,
)
from pupila.measured.quantization import FloatComparison, LayerSensitivities, LayerSensitivity
from pupila.measured.search import (
    Ancestor,
    BlockSize,
    Candidate,
    Genome,
    GenomeBlock,
    GenomeHead,
    Improvement,
    PickedModel,
    PickWith,
    SearchedModel,
    SearchResult,
)
from pupila.measured.teachers import (
    OracleTeaching,
    TaughtFractions,
    TeacherAgreement,
    TeacherQualities,
    TeacherQuality,
)
from pupila.measured.training import History, TrainingSummary, best_epoch_of, history_of

__all__ = [
    "MODELS",
    "Ancestor",
    "BlockSize",
    "Candidate",
    "Clock",
    "ClusteringResult",
    "FileSizePair",
    "FileSizes",
    "FloatComparison",
    "Genome",
    "GenomeBlock",
    "GenomeHead",
    "History",
    "Improvement",
    "Interval",
    "LayerSensitivities",
    "LayerSensitivity",
    "Measured",
    "MeasuredFields",
    "MicrocontrollerMemory",
    "Milliseconds",
    "OneClassBaselines",
    "OneClassCalibration",
    "OneClassQuality",
    "OracleTeaching",
    "PickWith",
    "PickedModel",
    "PluginWarning",
    "ProbeComparison",
    "PruningCurve",
    "PruningRound",
    "RuntimeComparison",
    "SearchResult",
    "SearchedModel",
    "Seconds",
    "StoredBytes",
    "TaughtFractions",
    "TeacherAgreement",
    "TeacherQualities",
    "TeacherQuality",
    "Timings",
    "TrainingSummary",
    "WeightSparsity",
    "best_epoch_of",
    "history_of",
    "problems",
]
