"""Pupila: turns large image classifiers into small ones and proves that they are good enough.

What a plugin author needs is importable from here.
"""

from pupila.artifact import Artifact, Threshold, ThresholdRule
from pupila.contract import InputContract, OutputContract
from pupila.dataset import Dataset
from pupila.errors import PupilaError
from pupila.hookspecs import hookimpl
from pupila.plugin import ANY_FORMAT, Config, Exporter, Loader, Runner, Shift, Student, Technique
from pupila.predictions import Predictions
from pupila.registry import PluginRegistry, installed
from pupila.runtime import OpenModel, Progress
from pupila.step import Crew, PartFailed, Product, Step

__all__ = [
    "ANY_FORMAT",
    "Artifact",
    "Config",
    "Crew",
    "Dataset",
    "Exporter",
    "InputContract",
    "Loader",
    "OpenModel",
    "OutputContract",
    "PartFailed",
    "PluginRegistry",
    "Predictions",
    "Product",
    "Progress",
    "PupilaError",
    "Runner",
    "Shift",
    "Step",
    "Student",
    "Technique",
    "Threshold",
    "ThresholdRule",
    "hookimpl",
    "installed",
]
