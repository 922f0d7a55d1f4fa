"""Steps that show results on the test images, as a site does: made last, never used as input."""

from __future__ import annotations

from pathlib import Path

import pytest

from pupila.plugin import Exporter, Loader, Runner, Technique
from pupila.plugin_loading import RegisteredPlugin
from pupila.plugin_registry import PluginRegistry
from pupila_flows.plan.expand import expand
from pupila_flows.plan.plan import Plan
from pupila_flows.plan.reading import read_plan
from pupila_flows.recipe.source import RecipeError

RECIPE = """\
name: shown
data: {path: images}
teachers:
  big: {path: big.keras, classes: [a, b]}
steps:
  page: {use: page, from: big}
"""


def _plan(folder: Path, text: str) -> Plan:
    plugins = (
        Exporter(
            name="page",
            summary="-",
            implementation="json:loads",
            accepts=frozenset({"keras"}),
            produces="site",
            evaluated=False,
            shows_metrics=True,
        ),
        Technique(
            name="learn",
            summary="-",
            implementation="json:loads",
            accepts=frozenset({"site"}),
            produces="keras",
        ),
        Runner(name="keras", summary="-", implementation="json:loads", format="keras"),
        Loader(
            name="keras",
            summary="-",
            implementation="json:loads",
            produces="keras",
            recognises=lambda path: path.suffix == ".keras",
        ),
    )
    for label in ("a", "b"):
        (folder / "images" / "train" / label).mkdir(parents=True)
        (folder / "images" / "train" / label / "1.png").touch()
    (folder / "big.keras").write_bytes(b"PK")
    (folder / "recipe.yaml").write_text(text)
    registry = PluginRegistry(
        tuple(RegisteredPlugin(plugin, "pupila-test", "1") for plugin in plugins)
    )
    return read_plan(folder / "recipe.yaml", registry)


def test_a_page_is_made_once_its_models_are_evaluated(tmp_path: Path):
    (node,) = expand(_plan(tmp_path, RECIPE))
    assert node.shows_metrics


def test_nothing_can_be_made_from_what_shows_figures_of_the_test_images(tmp_path: Path):
    text = RECIPE + "  clever: {use: learn, from: page}\n"
    with pytest.raises(RecipeError, match="'page' shows results on the test images, so nothing"):
        _plan(tmp_path, text)
