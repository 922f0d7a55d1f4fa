from __future__ import annotations

from pathlib import Path

import pytest

from pupila import PupilaError
from pupila_web.browser import OpenedPage, chromium


def program(folder: Path, name: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_a_chromium_is_sought_by_variable_then_path_then_playwright(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    own = program(tmp_path / "playwright", "chrome")
    monkeypatch.delenv("PUPILA_CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert chromium(own) == own
    chrome = program(tmp_path / "bin", "google-chrome")
    assert chromium(own) == chrome
    debian = program(tmp_path / "bin", "chromium")
    assert chromium(own) == debian
    named = program(tmp_path, "mine")
    monkeypatch.setenv("PUPILA_CHROMIUM", str(named))
    assert chromium(own) == named


def test_a_missing_chromium_is_told_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("PUPILA_CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PupilaError, match=r"no Chromium on this machine.*apt-get install chromium"):
        chromium(tmp_path / "nowhere")


def test_a_variable_that_names_no_program_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    own = program(tmp_path, "chrome")
    monkeypatch.setenv("PUPILA_CHROMIUM", str(tmp_path / "nowhere"))
    with pytest.raises(
        PupilaError, match=r"no Chromium at .*nowhere', which PUPILA_CHROMIUM names"
    ):
        chromium(own)


def test_a_program_that_is_no_chromium_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PUPILA_CHROMIUM", str(program(tmp_path, "other")))
    with pytest.raises(PupilaError, match=r"other' does not start: .* set PUPILA_CHROMIUM"):
        OpenedPage("http://127.0.0.1/")
