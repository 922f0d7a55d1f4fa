"""The process of a run: what it is sent, and what it sends back."""

from __future__ import annotations

import io
import json
import logging
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pupila.errors import PupilaError
from pupila_flows.api.process import run_in_process
from pupila_flows.execution.child import Messages, SentWarnings
from pupila_flows.recipe.overrides import Changes
from pupila_flows.workspace import Workspace


def descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names of links


def test_a_process_that_cannot_start_leaves_nothing_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*arguments: Any, **options: Any) -> None:
        del arguments, options
        raise OSError("no memory")

    monkeypatch.setattr("subprocess.Popen", refuse)
    before = descriptors()
    with pytest.raises(OSError, match="no memory"):
        run_in_process(tmp_path / "recipe.yaml", Changes(), Workspace.at(tmp_path))
    assert descriptors() == before


def test_changes_may_be_longer_than_an_argument_of_a_process(tmp_path: Path):
    long = Changes.model_validate({"publish": {"limits": "ü" * 200_000}})
    with pytest.raises(PupilaError, match="No recipe at"):
        run_in_process(tmp_path / "recipe.yaml", long, Workspace.at(tmp_path / "workspace"))


class SlowStream(io.StringIO):
    """Gives other threads time after each write."""

    def write(self, text: str, /) -> int:
        written = super().write(text)
        time.sleep(0.01)
        return written


def test_messages_of_several_threads_are_whole_lines():
    stream = SlowStream()
    messages = Messages(stream)
    log = logging.Logger("of this test")
    log.addHandler(SentWarnings(messages))
    with ThreadPoolExecutor(2) as threads:
        for number in range(10):
            threads.submit(messages.send, {"update": ["pupil", number, 10, "epochs"]})
            threads.submit(log.warning, "damaged %s", number)
    sent = list(map(json.loads, stream.getvalue().splitlines()))
    assert sorted(message["warning"] for message in sent if "warning" in message) == [
        f"damaged {number}" for number in range(10)
    ]
    assert sum("update" in message for message in sent) == 10
