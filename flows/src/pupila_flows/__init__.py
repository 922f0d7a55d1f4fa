"""Prefect flows, data validation, reports, the command line and the Python API of Pupila.

The names in `__all__` are the Python API (see docs/python.md). Everything else may change with any
version. They are imported when they are first used, so that the command line starts fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pupila.errors import PupilaError
    from pupila_flows.api.evaluate import Evaluated, evaluate
    from pupila_flows.api.model import Model, load
    from pupila_flows.api.recipe import Recipe
    from pupila_flows.api.result import Result, RunFailed
    from pupila_flows.api.run import run

__all__ = [
    "Evaluated",
    "Model",
    "PupilaError",
    "Recipe",
    "Result",
    "RunFailed",
    "evaluate",
    "load",
    "run",
]

_MODULES = {
    "Evaluated": "pupila_flows.api.evaluate",
    "Model": "pupila_flows.api.model",
    "PupilaError": "pupila.errors",
    "Recipe": "pupila_flows.api.recipe",
    "Result": "pupila_flows.api.result",
    "RunFailed": "pupila_flows.api.result",
    "evaluate": "pupila_flows.api.evaluate",
    "load": "pupila_flows.api.model",
    "run": "pupila_flows.api.run",
}

# Importing a module of the package `pupila_flows.run` for the first time makes that package an
# attribute of this one. It happens here, so that `run` is the function ever after.
import_module("pupila_flows.run")
del globals()["run"]


def __getattr__(name: str) -> Any:
    """Import a name of the Python API."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    """List the Python API."""
    return __all__
