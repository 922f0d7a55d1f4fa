from __future__ import annotations

from pathlib import Path

import pytest

from pupila import PupilaError
from pupila_web.browser import OpenedPage, find_chromium


def program(folder: Path, name: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_chromium_is_searched_by_variable_then_path_then_playwright(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    own = program(tmp_path / "playwright", "chrome")
    monkeypatch.delenv("PUPILA_CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert find_chromium(own) == own
    chrome = program(tmp_path / "bin", "google-chrome")
    assert find_chromium(own) == chrome
    debian = program(tmp_path / "bin", "chromium")
    assert find_chromium(own) == debian
    named = program(tmp_path, "mine")
    monkeypatch.setenv("PUPILA_CHROMIUM", str(named))
    assert find_chromium(own) == named


def test_a_missing_chromium_is_reported_with_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("PUPILA_CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        PupilaError, match=r"Chromium was not found on this machine.*apt-get install chromium"
    ):
        find_chromium(tmp_path / "nowhere")


def test_a_variable_that_names_a_missing_program_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    own = program(tmp_path, "chrome")
    monkeypatch.setenv("PUPILA_CHROMIUM", str(tmp_path / "nowhere"))
    with pytest.raises(
        PupilaError, match=r"Chromium was not found at .*nowhere', which PUPILA_CHROMIUM names"
    ):
        find_chromium(own)


def test_a_program_that_is_not_chromium_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PUPILA_CHROMIUM", str(program(tmp_path, "other")))
    with pytest.raises(PupilaError, match=r"other' does not start: .* set PUPILA_CHROMIUM"):
        OpenedPage("http://127.0.0.1/")
