"""Pupila turns large image classifiers into small ones, and proves the small ones good enough.

Everything that a plugin author needs can be imported from here.
"""

from pupila.artifact import Artifact, Threshold, ThresholdRule
from pupila.condition import CheckedModel
from pupila.data_checks import Fact
from pupila.data_plugins import DatasetReader, ImageFormat
from pupila.data_source import DataSource, ListedImage, ReaderChoice
from pupila.dataset import Dataset
from pupila.drawing import Drawing
from pupila.errors import PupilaError
from pupila.hookspecs import hookimpl
from pupila.in_process import InProcessModel
from pupila.plugin import (
    ANY_FORMAT,
    ANY_TASK,
    Command,
    Config,
    DataCheck,
    Exporter,
    Loader,
    Runner,
    Shift,
    Student,
    Task,
    Technique,
)
from pupila.plugin_registry import PluginRegistry, installed
from pupila.predictions import Predictions
from pupila.reported import ReportedRun
from pupila.result_plugins import GateCondition, MeasuredSection, Metric, ReportSection
from pupila.runtime import OpenModel, Progress
from pupila.spec import InputSpec, OutputSpec
from pupila.step import Step, StepResult, SubTaskFailed, WorkerPool
from pupila.task import MetricSettings, TaskMethods

__all__ = [
    "ANY_FORMAT",
    "ANY_TASK",
    "Artifact",
    "CheckedModel",
    "Command",
    "Config",
    "DataCheck",
    "DataSource",
    "Dataset",
    "DatasetReader",
    "Drawing",
    "Exporter",
    "Fact",
    "GateCondition",
    "ImageFormat",
    "InProcessModel",
    "InputSpec",
    "ListedImage",
    "Loader",
    "MeasuredSection",
    "Metric",
    "MetricSettings",
    "OpenModel",
    "OutputSpec",
    "PluginRegistry",
    "Predictions",
    "Progress",
    "PupilaError",
    "ReaderChoice",
    "ReportSection",
    "ReportedRun",
    "Runner",
    "Shift",
    "Step",
    "StepResult",
    "Student",
    "SubTaskFailed",
    "Task",
    "TaskMethods",
    "Technique",
    "Threshold",
    "ThresholdRule",
    "WorkerPool",
    "hookimpl",
    "installed",
]
