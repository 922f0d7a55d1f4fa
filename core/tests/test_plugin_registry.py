from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from pupila.errors import PupilaError
from pupila.plugin import ANY_FORMAT, Runner, Technique
from pupila.plugin_loading import RegisteredPlugin
from pupila.plugin_registry import PluginRegistry, installed
from pupila.testing import plugin_installed

TECHNIQUE = """
from pupila import Technique, hookimpl


@hookimpl
def pupila_techniques():
    yield Technique(
        name="{name}",
        summary="Do nothing whatever",
        accepts=frozenset({{"keras"}}),
        produces="keras",
        implementation="nowhere:nothing",
    )
"""


@contextmanager
def environment(folder: Path, **modules: str) -> Generator[PluginRegistry]:
    """Install each module as the distribution `<module>-dist`, and list the plugins."""
    with ExitStack() as stack:
        for number, (module, code) in enumerate(modules.items()):
            module_folder = folder / str(number)
            stack.enter_context(plugin_installed(module_folder, f"{module}-dist", module, code))
        yield installed()


def test_a_plugin_is_found_by_its_entry_point(tmp_path: Path):
    with environment(tmp_path, registry_good=TECHNIQUE.format(name="do-nothing")) as registry:
        plugin = registry.step("do-nothing")
        origin = registry.origin(plugin)
        assert isinstance(plugin, Technique)
        assert plugin in registry.all(Technique)
        assert (origin.distribution, origin.version) == ("registry_good-dist", "1.0")
    with pytest.raises(PupilaError, match="No technique or exporter named 'do-nothing'"):
        installed().step("do-nothing")


BROKEN = {
    "import pupila_that_does_not_exist": "ModuleNotFoundError: No module named 'pupila_that_does",
    "def broken(:": "SyntaxError",
    "raise RuntimeError('no licence')": "RuntimeError: no licence",
    "raise SystemExit('go away')": "SystemExit: go away",
    "from pupila import hookimpl\n@hookimpl\ndef pupila_tecniques(): yield 1": "pupila_tecniques",
    "def pupila_techniques(): yield 1": "implements no hook: mark its functions with `@pupila",
    "from pupila import hookimpl\n@hookimpl\ndef pupila_techniques(): yield 'distil'": (
        "pupila_techniques yielded 'distil', which is not a descriptor"
    ),
    "from pupila import hookimpl\n@hookimpl\ndef pupila_runners(): pass": (
        "pupila_runners returned nothing"
    ),
    "from pupila import hookimpl\n@hookimpl\ndef pupila_runners(): return 5": "not iterable",
    "from pupila import hookimpl\n@hookimpl\ndef pupila_students():\n    yield 1 / 0": (
        "ZeroDivisionError"
    ),
    "from pupila import hookimpl\n@hookimpl\ndef pupila_loaders(colour): return []": "colour",
}


@pytest.mark.parametrize(("code", "message"), BROKEN.items(), ids=lambda text: text[-40:])
def test_a_broken_plugin_is_named_and_the_rest_work(tmp_path: Path, code: str, message: str):
    good = TECHNIQUE.format(name="do-nothing")
    with environment(tmp_path, registry_bad=code, registry_good=good) as registry:
        assert registry.step("do-nothing").name == "do-nothing"
        (broken,) = (plugin for plugin in registry.broken if plugin.name == "registry_bad")
        assert broken.distribution == "registry_bad-dist"
        assert message in broken.error
        assert str(broken).startswith("Plugin 'registry_bad' of registry_bad-dist 1.0 is skipped: ")


def test_the_error_for_a_missing_plugin_names_the_broken_ones(tmp_path: Path):
    with environment(tmp_path, registry_bad="raise RuntimeError('no licence')") as registry:
        for look_up in (
            lambda: registry.step("do-something"),
            lambda: registry.runner("unheard-of"),
            lambda: registry.loader(tmp_path),
        ):
            with pytest.raises(PupilaError, match=r"'registry_bad' of .* is skipped: .*no licence"):
                look_up()


def test_a_distribution_found_twice_on_the_path_counts_once(tmp_path: Path):
    code = TECHNIQUE.format(name="do-nothing")
    with (
        plugin_installed(tmp_path / "a", "registry-dist", "registry_good", code),
        plugin_installed(tmp_path / "b", "registry-dist", "registry_good", code),
    ):
        assert installed().step("do-nothing")


@pytest.mark.parametrize("backport", [False, True])
def test_metadata_without_a_name_does_not_stop_the_rest(tmp_path: Path, backport: bool):
    if backport:
        pytest.importorskip("importlib_metadata")  # from then on it reads what is installed
    good = TECHNIQUE.format(name="do-nothing")
    nameless = tmp_path / "a" / "nameless-1.0.dist-info"
    with (
        plugin_installed(tmp_path / "a", "nameless", "registry_nameless", "raise ValueError"),
        plugin_installed(tmp_path / "b", "registry-dist", "registry_good", good),
    ):
        (nameless / "METADATA").write_text("")
        assert installed().step("do-nothing")


def test_the_error_for_a_misspelt_name_offers_the_nearest(tmp_path: Path):
    good = TECHNIQUE.format(name="do-nothing")
    with environment(tmp_path, registry_good=good) as registry:
        with pytest.raises(PupilaError, match=r"named 'do-noting'\. Did you mean 'do-nothing'\?"):
            registry.step("do-noting")
        with pytest.raises(PupilaError, match="No student named 'do-nothing'"):
            registry.student("do-nothing")


RUNNER = """
from pupila import Runner, hookimpl


@hookimpl
def pupila_runners():
    yield Runner(name="abacus", summary="Count", implementation="abacus:open", format="beads")
"""


def test_a_runner_is_found_by_format(tmp_path: Path):
    with environment(tmp_path, registry_runner=RUNNER) as registry:
        assert registry.runner("beads").name == "abacus"
        assert any(runner.format == "beads" for runner in registry.all(Runner))
        with pytest.raises(
            PupilaError, match=r"format 'bead'\. Did you mean 'beads'\?.*Installed: "
        ):
            registry.runner("bead")


LOADER = """
from pupila import Loader, hookimpl


@hookimpl
def pupila_loaders():
    yield Loader(
        name="load-beads",
        summary="Reads beads",
        implementation="beads:load",
        produces="beads",
        recognises=lambda source: source.read_bytes().startswith(b"BEADS"),
    )
"""


def test_a_loader_is_found_by_content_and_not_by_file_name(tmp_path: Path):
    beads, other = tmp_path / "model.bin", tmp_path / "model.beads"
    beads.write_bytes(b"BEADS 1 2 3")
    other.write_bytes(b"nothing of the kind")
    with environment(tmp_path / "path", registry_loader=LOADER) as registry:
        assert registry.loader(beads).name == "load-beads"
        with pytest.raises(PupilaError, match=r"model\.beads' is in no known .*Reads beads"):
            registry.loader(other)
        with pytest.raises(PupilaError, match=r"No model at .*missing\.h5"):
            registry.loader(tmp_path / "missing.h5")


def rival(code: str, name: str) -> str:
    """Return the code of a plugin module with another name for its plugin."""
    return code.replace('"abacus"', repr(name)).replace('"load-beads"', repr(name))


def test_two_runners_for_one_format_are_refused_unless_the_environment_names_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("PUPILA_RUNNERS", raising=False)
    modules = {"registry_runner": RUNNER, "registry_rival": rival(RUNNER, "aaa-abacus")}
    with environment(tmp_path, **modules) as registry:
        message = (
            r"2 runners evaluate artifacts of format 'beads': 'aaa-abacus' of registry_rival-dist, "
            r"'abacus' of registry_runner-dist\. Uninstall .* PUPILA_RUNNERS=abacus\.$"
        )
        with pytest.raises(PupilaError, match=message):
            registry.runner("beads")
        assert {"abacus", "aaa-abacus"} <= {runner.name for runner in registry.all(Runner)}
        for written in ("abacus", "other, abacus"):
            monkeypatch.setenv("PUPILA_RUNNERS", written)
            assert registry.runner("beads").name == "abacus"
        for written in ("abakus", "abacus,aaa-abacus"):
            monkeypatch.setenv("PUPILA_RUNNERS", written)
            with pytest.raises(PupilaError, match=f"PUPILA_RUNNERS is '{written}' now"):
                registry.runner("beads")


def test_two_loaders_that_recognise_one_file_are_refused_unless_the_environment_names_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("PUPILA_LOADERS", raising=False)
    beads = tmp_path / "model.bin"
    beads.write_bytes(b"BEADS 1 2 3")
    modules = {"registry_loader": LOADER, "registry_rival": rival(LOADER, "aaa-beads")}
    with environment(tmp_path / "path", **modules) as registry:
        message = (
            r"2 loaders recognise '.*model\.bin': 'aaa-beads' of registry_rival-dist, "
            r"'load-beads' of registry_loader-dist\. Uninstall .* PUPILA_LOADERS=load-beads\.$"
        )
        with pytest.raises(PupilaError, match=message):
            registry.loader(beads)
        monkeypatch.setenv("PUPILA_LOADERS", "load-beads")
        assert registry.loader(beads).name == "load-beads"


def test_listing_plugins_is_quick_and_imports_no_framework():
    program = (
        "import sys, time, pupila; start = time.perf_counter(); pupila.installed();"
        "print(time.perf_counter() - start);"
        "print([name for name in ('tensorflow', 'keras', 'prefect', 'sklearn', 'scipy', 'pandas')"
        " if name in sys.modules])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    seconds, heavy = ended.stdout.splitlines()
    assert float(seconds) < 2, "0.02 s on an idle machine"
    assert heavy == "[]"


def test_the_second_listing_costs_nothing():
    first = installed()
    start = time.perf_counter()
    assert installed() is first
    assert time.perf_counter() - start < 0.01


def test_a_step_that_needs_only_answers_accepts_the_formats_of_all_runners():
    wants = Technique(
        name="ask", summary="", implementation="", accepts=ANY_FORMAT, produces="keras"
    )
    strange = Runner(name="strange", summary="", implementation="", format="strange")
    only_tried = Runner(name="tried", summary="", implementation="", format="other", primary=False)
    entries = tuple(
        RegisteredPlugin(plugin, "theirs", "1") for plugin in (wants, strange, only_tried)
    )
    registry = PluginRegistry(entries)
    assert registry.formats() == ["strange"]
    assert registry.step("ask").accepts == {"strange"}
