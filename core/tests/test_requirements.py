"""Which versions a result depends on: a plugin's own, and of what its package requires."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator
from contextlib import contextmanager
from importlib import invalidate_caches
from pathlib import Path

import pytest

from pupila import image_formats
from pupila.plugin_registry import installed
from pupila.predictions import Predictions
from pupila.requirements import forget, requirements, versions
from pupila.scanning import scan
from pupila.store import Store
from pupila.testing import (
    draw_images,
    ignore_progress,
    keras_artifact,
    plugin_installed,
    read_images,
)

RUNNER = """
from pupila import Runner, hookimpl


@hookimpl
def pupila_runners():
    yield Runner(
        name="abacus",
        summary="Counts beads",
        format="beads",
        implementation="nowhere:nothing",
        environment=lambda: "a wooden frame",
    )
"""


@contextmanager
def distributions(folder: Path, **required: tuple[str, list[str]]) -> Generator[None]:
    """Install only metadata: by name, a version and requirements."""
    for name, (version, requires) in required.items():
        metadata = folder / f"{name}-{version}.dist-info"
        metadata.mkdir(parents=True)
        lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {r}" for r in requires)]
        (metadata / "METADATA").write_text("\n".join(["Metadata-Version: 2.1", *lines, ""]))
    sys.path.insert(0, str(folder))
    invalidate_caches()
    _forget_versions()
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        _forget_versions()


def _forget_versions() -> None:
    forget()
    image_formats.forget()


def test_versions_include_direct_requirements_only(tmp_path: Path):
    with distributions(
        tmp_path,
        wood=("1.0", ["beads>=2", "Gluing_Together", "rich", "never; python_version < '3'"]),
        beads=("2.5", ["certificates"]),
        gluing_together=("3", ["nails; extra == 'strong'"]),
        certificates=("4", []),
    ):
        packages = requirements("wood")
    assert packages == {"beads": "2.5", "gluing-together": "3", "wood": "1.0"}


def test_versions_include_the_requirements_of_packages_made_for_pupila(tmp_path: Path):
    with distributions(
        tmp_path,
        wood=("1.0", ["abacus-plugin[fast]", "pupila-core"]),
        abacus_plugin=("2.0", ["pupila-core>=0.1", "beads", "slow; extra == 'slow'"]),
        beads=("2.5", ["certificates"]),
    ):
        packages = requirements("wood")
        assert packages.keys() - requirements("pupila-core").keys() == {
            "abacus-plugin",
            "beads",
            "wood",
        }
    assert {"numpy", "pillow", "pupila-core"} <= packages.keys()
    assert "pydantic" not in packages


def test_missing_packages_and_odd_metadata_are_not_errors(tmp_path: Path):
    with distributions(tmp_path, wood=("1.0", ["beads", "!! not a requirement"])):
        assert requirements("wood") == {"beads": "missing", "wood": "1.0"}
    assert requirements("no-such-package") == {"no-such-package": "missing"}


def test_versions_include_what_built_in_plugins_compute_with():
    registry = installed()
    lines = [
        *registry.code_of(registry.runner("keras")),
        *registry.code_of(registry.runner("tflite")),
        *registry.code_of(registry.step("quantize-int8")),
    ]
    names = {text.rpartition(" ")[0] for text in lines}
    wanted = {"python", "tensorflow", "keras", "tf-keras", "h5py", "ai-edge-litert"}
    assert wanted | {"ai-edge-quantizer", "pillow", "numpy"} <= names
    assert len(versions("pupila-core", "pupila-keras")) == len(set(versions("pupila-keras")))


def test_the_code_of_a_plugin_changes_with_versions_of_its_requirements(tmp_path: Path):
    keys: list[tuple[str, ...]] = []
    for version in ("1.0", "1.1"):
        with (
            distributions(tmp_path / version, beads=(version, [])),
            plugin_installed(
                tmp_path / f"plugin-{version}", "abacus-dist", "abacus", RUNNER, requires=["beads"]
            ),
        ):
            keys.append(installed().code_of(installed().runner("beads")))
    before, after = keys
    assert set(before) ^ set(after) == {"beads 1.0", "beads 1.1"}
    assert before[:2] == ("abacus of abacus-dist 1.0", "a wooden frame")


def test_another_version_of_pillow_measures_and_renders_images_again(tmp_path: Path):
    dataset = read_images(draw_images(tmp_path / "images", images=1), tmp_path / "cache")
    artifact = keras_artifact(Store(tmp_path / "store"))
    predictions = Predictions(tmp_path / "predictions")

    def kept() -> tuple[int, ...]:
        scan(dataset.frame[["path", "label", "split"]], tmp_path / "cache", ignore_progress)
        predictions.of(artifact, dataset, ignore_progress)
        kinds = ("cache/scan-*.sqlite", "cache/pixels/*.npy", "predictions/*.npy")
        return tuple(len([*tmp_path.glob(kind)]) for kind in kinds)

    assert kept() == kept() == (1, 1, 1)
    with distributions(tmp_path / "newer", pillow=("99.0", [])):
        assert kept() == (2, 2, 2)
    assert kept() == (2, 2, 2)


def install_editable(folder: Path, project: Path) -> None:
    metadata = folder / "wood-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: wood\nVersion: 1.0\n")
    origin = {"url": project.as_uri(), "dir_info": {"editable": True}}
    (metadata / "direct_url.json").write_text(json.dumps(origin))


@pytest.mark.parametrize("layout", ["src/wood", "wood"])
def test_the_version_of_an_editable_install_has_a_digest_of_its_source(layout: str, tmp_path: Path):
    project, installed_in = tmp_path / "a project", tmp_path / "installed"
    source = project / layout
    for folder in (source, project / "tests", installed_in):
        folder.mkdir(parents=True)
    (source / "__init__.py").write_text("grain = 1\n")
    install_editable(installed_in, project)

    def version() -> str:
        with distributions(installed_in):
            return requirements("wood")["wood"]

    before = version()
    assert before.startswith("1.0+editable.")
    (project / "tests" / "test_wood.py").write_text("import wood\n")
    assert version() == before
    (source / "__init__.py").write_text("grain = 2\n")
    changed = version()
    assert changed != before
    (source / "plank.py").write_text("")
    assert version() not in (before, changed)
