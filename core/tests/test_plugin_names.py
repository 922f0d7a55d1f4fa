"""Plugins of several packages that have one name: only that name must say which is meant."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from pupila.errors import PupilaError
from pupila.plugin import Runner, Shift, Technique
from pupila.plugin_registry import PluginRegistry, installed
from pupila.testing import plugin_installed

TECHNIQUES = """
from pupila import Exporter, Runner, Shift, Technique, hookimpl


def technique(name, **more):
    return Technique(
        name=name,
        summary="{package}",
        accepts=frozenset({{"keras"}}),
        produces="keras",
        implementation="json:loads",
        **more,
    )


@hookimpl
def pupila_techniques():
    yield technique("polish", control="plain", seeded=True)
    yield technique("plain", max_inputs=0, min_inputs=0, seeded=True)
    yield technique("polish-of-{package}")


@hookimpl
def pupila_shifts():
    yield Shift(name="blur", summary="{package}", implementation="json:loads")


@hookimpl
def pupila_runners():
    yield Runner(name="abacus", summary="{package}", implementation="json:loads", format="beads")
"""


@contextmanager
def packages(folder: Path, *names: str) -> Generator[PluginRegistry]:
    """Install packages, such as `Red_Beads`, that all have plugins of the same names."""
    with ExitStack() as stack:
        for name in names:
            code, module = TECHNIQUES.format(package=name), f"names_{name.lower()}"
            stack.enter_context(plugin_installed(folder / name, name, module, code))
        yield installed()


@pytest.fixture
def both(tmp_path: Path) -> Generator[PluginRegistry]:
    with packages(tmp_path, "Red_Beads", "blue") as registry:
        yield registry


def test_a_name_of_two_packages_is_refused_with_both_and_with_what_to_write(both: PluginRegistry):
    message = (
        r"^Several packages have a technique or exporter named 'polish' \(Red_Beads, blue\): write "
        r"'red-beads/polish' or 'blue/polish'\.$"
    )
    with pytest.raises(PupilaError, match=message):
        both.step("polish")
    assert both.get(Technique, "polish") is None


def test_other_names_of_the_two_packages_and_of_all_others_still_work(both: PluginRegistry):
    assert both.step("polish-of-blue").summary == "blue"
    assert both.task("classification").name == "classification"
    assert both.broken == ()


@pytest.mark.parametrize("written", ["red-beads/polish", "Red_Beads/polish", "red.beads/polish"])
def test_the_package_says_which_plugin_is_meant_however_it_is_spelt(
    both: PluginRegistry, written: str
):
    plugin = both.step(written)
    assert (plugin.name, plugin.summary) == ("red-beads/polish", "Red_Beads")
    assert both.origin(plugin).distribution == "Red_Beads"
    assert both.step("blue/polish").summary == "blue"
    assert both.code_of(plugin) != both.code_of(both.step("blue/polish"))


def test_a_package_may_be_written_where_nothing_clashes(tmp_path: Path):
    with packages(tmp_path, "blue") as registry:
        assert registry.step("blue/polish") is registry.step("polish")
        assert registry.step("blue/polish").name == "polish"
        with pytest.raises(
            PupilaError, match="The package 'green' of 'green/polish' is not installed"
        ):
            registry.step("green/polish")


def test_the_control_of_a_technique_is_that_of_its_own_package(both: PluginRegistry):
    technique = both.step("blue/polish")
    assert isinstance(technique, Technique)
    assert technique.control == "blue/plain"
    assert both.step("blue/plain").summary == "blue"


def test_a_technique_and_an_exporter_may_not_share_a_name(tmp_path: Path):
    exporter = TECHNIQUES.replace("Technique(\n        name", "Exporter(\n        name")
    exporter = exporter.replace("pupila_techniques", "pupila_exporters")
    exporter = exporter.replace(', control="plain", seeded=True', "").replace(", seeded=True", "")
    with (
        packages(tmp_path, "blue"),
        plugin_installed(tmp_path / "x", "x", "names_x", exporter.format(package="x")),
        pytest.raises(PupilaError, match=r"named 'polish' .*write 'blue/polish' or 'x/polish'"),
    ):
        installed().step("polish")


def test_a_name_of_core_stays_that_of_core(both: PluginRegistry):
    assert both.origin(both.shift("blur")).distribution == "pupila-core"
    assert both.shift("blue/blur").summary == "blue"
    (clash,) = (clash for clash in both.clashes if clash.name == "blur")
    assert "write 'red-beads/blur' or 'blue/blur'; 'blur' alone is that of pupila-core" in str(
        clash
    )
    assert len({shift.name for shift in both.all(Shift)}) == len(both.all(Shift))


def test_the_environment_may_name_a_runner_by_its_package(
    both: PluginRegistry, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PUPILA_RUNNERS", "abacus")
    with pytest.raises(
        PupilaError, match=r"PUPILA_RUNNERS=\S+/abacus\. PUPILA_RUNNERS is 'abacus'"
    ):
        both.runner("beads")
    monkeypatch.setenv("PUPILA_RUNNERS", "blue/abacus")
    assert both.runner("beads").summary == "blue"
    assert both.runtime("Red_Beads/abacus").summary == "Red_Beads"
    assert [runner.name for runner in both.all(Runner) if runner.format == "beads"] == [
        *("blue/abacus", "red-beads/abacus")
    ]


def test_a_package_that_uses_a_name_twice_has_the_first_one_and_is_reported(tmp_path: Path):
    twice = TECHNIQUES.replace('"polish-of-{package}"', '"polish"').format(package="blue")
    with plugin_installed(tmp_path, "blue", "names_twice", twice):
        assert installed().step("polish").summary == "blue"
        assert [clash.name for clash in installed().clashes] == ["blur"]
        (broken,) = (broken for broken in installed().broken if broken.distribution == "blue")
        assert broken.error == "it yields technique 'polish' a second time: rename one of them"
