"""Runs the command line in a separate process, as a user does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

PUPILA = (sys.executable, "-m", "pupila_flows")


def user_environment() -> dict[str, str]:
    """Return the environment without variables of Prefect and of a registry."""
    return {
        name: value
        for name, value in os.environ.items()
        if "PREFECT" not in name and name != "PUPILA_REGISTRY"
    }


def run_pupila(
    folder: Path,
    *arguments: str | Path,
    code: int | None = 0,
    environment: Mapping[str, str] | None = None,
    timeout: float = 600,
) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder; `code` is the expected exit code, None for any."""
    done = subprocess.run(
        [*PUPILA, *map(str, arguments)],
        cwd=folder,
        env=user_environment() | dict(environment or {}),
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert code in (None, done.returncode), done.stdout + done.stderr
    return done
