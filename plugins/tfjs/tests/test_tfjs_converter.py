from __future__ import annotations

from pathlib import Path

import pytest

from pupila import PupilaError
from pupila_tfjs.converter import _environment, _reason, convert

TRACEBACK = """\
I0000 00:00:1795569988.586759    8681 devices.cc:67] Number of eligible GPUs: 0
Traceback (most recent call last):
  File "converter.py", line 1, in <module>
    raise ValueError(message)
ValueError: Unsupported Ops in the model before optimization
Erfc, XlaConvV2
WARNING: All log messages before absl::InitializeLog() is called are written to STDERR
"""


@pytest.mark.parametrize(
    ("stderr", "reason"),
    [
        (TRACEBACK, "ValueError: Unsupported Ops in the model before optimization Erfc, XlaConvV2"),
        (
            "usage: x\nx: error: unrecognized arguments: --y\n",
            "x: error: unrecognized arguments: --y",
        ),
        ("google.protobuf.message.DecodeError: bad\n", "google.protobuf.message.DecodeError: bad"),
        ("", "it gave no reason"),
    ],
)
def test_the_reason_is_the_last_exception_without_the_log_around_it(stderr: str, reason: str):
    assert _reason(stderr) == reason


def test_the_converter_does_not_inherit_legacy_keras(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "1")
    monkeypatch.setenv("SOME_SETTING", "kept")
    environment = _environment()
    assert "TF_USE_LEGACY_KERAS" not in environment
    assert environment["SOME_SETTING"] == "kept"


def test_nothing_is_imported_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    user, installed = tmp_path / "user", tmp_path / "installed"
    for folder in (user, installed):  # a stand-in for the converter, which takes long to import
        package = folder / "tensorflowjs" / "converters"
        package.mkdir(parents=True)
        (package / "converter.py").write_text(f"raise SystemExit('from {folder.name}')")
        for parent in (package, package.parent):
            (parent / "__init__.py").touch()  # a namespace package would yield to the real one
    monkeypatch.chdir(user)
    monkeypatch.setenv("PYTHONPATH", str(installed))
    with pytest.raises(PupilaError, match=r"\(exit code 1\): from installed"):
        convert(tmp_path / "model", tmp_path / "output", "float32")
