from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import invalidate_caches
from pathlib import Path

import pytest

from pupila.digest import digest_code, short_digest
from pupila.shift_suite import Suite
from pupila.views import Augmentation


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Write modules that can be imported, and forget their earlier digests."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    def write(name: str, text: str) -> None:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        digest_code.cache_clear()
        invalidate_caches()

    return write


@pytest.mark.parametrize(
    "changed", ["families_of_acme/light.py", "families_of_acme/deep/__init__.py"]
)
def test_a_change_of_any_module_of_a_package_changes_the_digest_of_its_code(
    written: Callable[[str, str], None], changed: str
):
    for name in ("__init__.py", "light.py", "deep/__init__.py"):
        written(f"families_of_acme/{name}", "STOPS = 0.3\n")
    before = digest_code("families_of_acme")
    written("beside.py", "STOPS = 0.3\n")
    assert digest_code("families_of_acme") == before != digest_code("beside")
    written(changed, "STOPS = 0.4\n")
    assert digest_code("families_of_acme") != before


def test_missing_code_has_no_digest():
    with pytest.raises(ModuleNotFoundError, match="families_of_nobody"):
        digest_code("families_of_nobody")


@pytest.mark.parametrize(
    ("key", "module"),
    [
        (lambda: Augmentation().digest, "pupila.views"),
        (lambda: Augmentation().digest, "pupila.shift"),
        (lambda: Suite().identity, "pupila.shift"),
        (lambda: Suite().identity, "pupila.shift_suite"),
        (lambda: Suite(severities=("mild",)).identity, "pupila.shift.light"),
    ],
)
def test_the_key_of_pictures_includes_the_code_that_makes_them(
    monkeypatch: pytest.MonkeyPatch, key: Callable[[], object], module: str
):
    before = key()

    def changed(*modules: str) -> str:
        return "changed" if module in modules else digest_code(*modules)

    for function in ("pupila.views.digest_code", "pupila.shift_suite.digest_code"):
        monkeypatch.setattr(function, changed)
    assert key() != before


def test_a_suite_with_other_severities_has_another_digest():
    assert Suite().identity != Suite(severities=("middle",)).identity


def test_a_short_digest_is_its_first_twelve_digits() -> None:
    assert short_digest("0123456789abcdef") == "0123456789ab"
