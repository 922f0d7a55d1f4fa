"""What the report draws of a search, from records whose figures are computed from a seed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml
from sample_runs import HOSTILE, VGG, XCEPTION, Node, sample_run
from search_records import record

from pupila import installed, keras_files
from pupila.artifact import Artifact
from pupila.measured import Ancestor, Measured, SearchResult
from pupila.store import Store
from pupila.testing import colour_dataset, run_step, store_model
from pupila_flows.report.lineage import Lineage
from pupila_flows.report.page import write_report
from pupila_flows.report.search import searches
from pupila_flows.report.search.page import SearchSection
from pupila_flows.report.search.tree import lanes_of
from pupila_flows.results import RunResult


def run_of(measured: dict[str, Any], folder: Path) -> RunResult:
    """Return a run of two teachers and a search, none of them evaluated."""
    node = Node("found", "search", ("vgg16", "xception"), format="keras", measured=measured)
    return sample_run(folder, [replace(entry, evaluated=False) for entry in (VGG, XCEPTION, node)])


def found_in(measured: dict[str, Any], folder: Path) -> list[SearchSection]:
    return searches(Lineage.of(run_of(measured, folder).entries))


def page_of(measured: dict[str, Any], folder: Path) -> str:
    return write_report(run_of(measured, folder), folder).read_text()


def test_a_search_is_drawn_whole_with_words_beside_the_pictures(tmp_path: Path) -> None:
    measured = record()
    (section,) = found_in(measured, tmp_path)
    assert [row.name for row in section.rows if row.role == "chosen"] == [measured["chosen"]]
    assert {row.name for row in section.rows} == {model["name"] for model in measured["front"]} | {
        measured["chosen"]
    }
    for row in section.rows:
        assert (row.words == "no shown difference") == (row.name in measured["tied"])
    assert len(section.panels) == 2 and section.history and section.tree and section.has_teachers
    assert [(failure.name, failure.reason) for failure in section.failures] == [
        ("c5", "MemoryError: its worker died")
    ]
    said = " ".join(section.sentences)
    assert "among 39 candidates" in said and "are not shown to be worse than it" in said
    assert "the best of 39 on the images that chose it" in said
    assert "hold at once for all 120 models" in said
    assert "not on the front" not in said
    html = page_of(measured, tmp_path)
    assert 'href="#search"' in html and 'id="search"' in html
    for row in section.rows:
        assert row.name in html and row.interval in html


def test_every_picture_is_well_formed_and_every_point_has_a_title(tmp_path: Path) -> None:
    (section,) = found_in(record(), tmp_path)
    architectures = [
        architecture.picture
        for architecture in (*section.architectures, *section.more_architectures)
    ]
    pictures = [*section.panels, *filter(None, (section.history, section.tree)), *architectures]
    for picture in pictures:
        root = ElementTree.fromstring(str(picture))  # noqa: S314 - our own
        assert root.get("aria-label") and root.get("role") == "img"
        _, _, width, height = map(float, (root.get("viewBox") or "").split())
        for text in root.iter("text"):
            x, y = float(text.get("x", 0)), float(text.get("y", 0))
            assert 0 <= x <= width and 0 <= y <= height
        for group in root.findall("g"):
            assert group.findtext("title")


def test_the_front_stands_by_bytes_and_by_accuracy_with_its_intervals(tmp_path: Path) -> None:
    measured = record()
    (section,) = found_in(measured, tmp_path)
    root = ElementTree.fromstring(str(section.panels[0]))  # noqa: S314 - our own
    spots = [group for group in root.findall("g") if "model" in (group.get("class") or "")]
    bars = {
        (group.findtext("title") or "").partition(" ")[0]: [
            float(line.get(name, 0))
            for line in group.findall("line[@class='error']")[:1]
            for name in ("x1", "y1", "y2")
        ]
        for group in spots
    }
    models = sorted(measured["front"], key=lambda model: model["bytes"])
    places = [bars[model["name"]][0] for model in models]
    assert places == sorted(places)
    for model in measured["front"]:
        _, low, high = bars[model["name"]]
        assert low > high, "a lower accuracy stands lower"


def test_a_chosen_model_that_is_not_on_the_front_is_drawn_with_it(tmp_path: Path) -> None:
    measured = record()
    chosen = measured["chosen"]
    measured["front"] = [model for model in measured["front"] if model["name"] != chosen]
    (section,) = found_in(measured, tmp_path)
    assert section.rows[0].name == chosen and section.rows[0].role == "chosen"
    assert f"{chosen} itself is not on the front" in " ".join(section.sentences)


def test_models_that_are_not_tied_are_said_to_be_told_apart(tmp_path: Path) -> None:
    (section,) = found_in(record() | {"tied": []}, tmp_path)
    assert "Every other model is shown to be worse" in section.sentences[-1]


def test_intervals_that_hold_for_one_model_each_are_said_to_be_too_high(tmp_path: Path) -> None:
    page = page_of(record() | {"looks": None}, tmp_path)
    assert "Its interval ignores that it was chosen, so it is too high as well" in page
    assert "all at once" not in page
    assert "all at once" in page_of(record(), tmp_path)


def test_the_family_gives_each_ancestor_a_lane_that_none_other_stands_on() -> None:
    family = [
        Ancestor.model_validate(ancestor)
        for ancestor in record(90, 8, crossover_rate=0.6)["family"]
    ]
    assert len(family) > 15 and any(len(ancestor.parents) == 2 for ancestor in family)
    lanes, row_of = lanes_of(family), {ancestor.name: row for row, ancestor in enumerate(family)}
    for child in family:
        for parent in child.parents:
            between = family[row_of[parent] + 1 : row_of[child.name]]
            assert all(lanes[ancestor.name] != lanes[parent] for ancestor in between)
    assert max(lanes.values()) < len(family) / 2


def test_the_family_tells_changes_and_whether_they_preserved_what_was_computed(
    tmp_path: Path,
) -> None:
    measured = record(90, 8, crossover_rate=0.6)
    (section,) = found_in(measured, tmp_path)
    tree = str(section.tree)
    preserved = sum(ancestor["preserved"] for ancestor in measured["family"] if ancestor["parents"])
    assert tree.count("</title>") == len(measured["family"]) == section.ancestors + 1
    assert tree.count(">computed the same<") == preserved
    assert tree.count("edge same") == preserved
    assert all(f">{ancestor['change']}<" in tree for ancestor in measured["family"])


def test_the_history_rises_in_steps_and_marks_what_failed(tmp_path: Path) -> None:
    measured = record(failed=(5, 17))
    (section,) = found_in(measured, tmp_path)
    root = ElementTree.fromstring(str(section.history))  # noqa: S314 - our own
    (line,) = [element for element in root.iter("polyline") if element.get("class") == "best"]
    points = [tuple(map(float, point.split(","))) for point in (line.get("points") or "").split()]
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    assert [y for _, y in points] == sorted((y for _, y in points), reverse=True)
    assert len([element for element in root.iter("g") if element.get("class") == "failed"]) == 2
    assert len([element for element in root.iter("line") if element.get("class") == "rug"]) == 38


def test_from_the_sixth_on_architectures_are_folded(tmp_path: Path) -> None:
    measured = record()
    (section,) = found_in(measured, tmp_path)
    assert (
        len(section.architectures) == 5
        and len(section.more_architectures) == len(section.rows) - 5 > 0
    )
    assert f"{len(section.more_architectures)} more architecture" in page_of(measured, tmp_path)
    best = next(
        architecture
        for architecture in section.architectures
        if architecture.name == measured["chosen"]
    )
    for block in measured["chosen_model"]["genome"]["blocks"]:
        assert f"block_{block['mark']}<" in best.picture
        assert f">{block['kind']} 3 × 3<" in best.picture
    assert best.picture.count("1.23\u00a0k parameters") == len(measured["chosen_model"]["sizes"])


def test_another_model_is_taken_by_a_step_that_the_recipe_can_have(tmp_path: Path) -> None:
    measured = record()
    (section,) = found_in(measured, tmp_path)
    step = yaml.safe_load(section.another)["steps"]["another"]
    assert step["use"] == "search-pick" and step["from"] == "found"
    (name,) = step["with"].values()
    front = {model["name"]: model["bytes"] for model in measured["front"]}
    best = measured["chosen_model"]["bytes"]
    accuracies = {
        model["name"]: model["validation_accuracy"]["value"]
        for model in measured["front"]
        if model["bytes"] < best
    }
    assert front[name] < best and accuracies[name] == max(accuracies.values())
    plugin = installed().step("search-pick")
    assert plugin.config.model_validate(step["with"]).model_dump() == {"pick": name}


@pytest.mark.parametrize(
    ("changes", "lost"),
    [
        ({"candidates": []}, "history"),
        ({"seconds": None}, "history"),
        ({"family": []}, "tree"),
        ({"taken_with": None}, "another"),
        ({"teachers": []}, "has_teachers"),
        ({"rule": ""}, ""),
        ({"chosen_model": None, "candidates": []}, ""),
    ],
)
def test_what_was_not_noted_is_left_out_and_the_rest_stands(
    changes: dict[str, Any], lost: str, tmp_path: Path
) -> None:
    measured = record() | changes
    (section,) = found_in(measured, tmp_path)
    assert section.rows and section.panels
    assert not lost or not getattr(section, lost)
    assert 'id="search"' in page_of(measured, tmp_path)


def test_a_search_without_latencies_has_one_plot(tmp_path: Path) -> None:
    measured = record()
    for model in measured["front"]:
        model["latency_ms"] = None
    (section,) = found_in(measured, tmp_path)
    assert len(section.panels) == 1 and all("–" in row.latency for row in section.rows[1:])


def test_a_search_of_one_candidate_is_drawn(tmp_path: Path) -> None:
    (section,) = found_in(record(1, failed=()), tmp_path)
    assert len(section.rows) == 1 and not section.another and section.history and section.tree


def test_candidates_without_a_time_stand_in_no_history(tmp_path: Path) -> None:
    measured = record()
    measured["candidates"][-1] = {"name": "c39", "bytes": 9000, "skipped": "no time was left"}
    del measured["candidates"][-2]["seconds"]
    (section,) = found_in(measured, tmp_path)
    assert str(section.history).count('class="rug"') == 37 and section.panels


@pytest.mark.parametrize(
    "changes",
    [
        {"front": []},
        {"front": "c1"},
        {"front": [{"name": "c1"}]},
        {"chosen": 7},
        {"tied": 3},
        {"candidates": [{"name": "c1", "bytes": 9, "stage_seconds": [float("nan")]}]},
    ],
)
def test_a_record_of_another_form_is_left_out(changes: dict[str, Any], tmp_path: Path) -> None:
    measured = record() | changes
    assert Measured(measured).read(SearchResult) is None
    assert 'id="search"' not in page_of(measured, tmp_path)


def test_words_of_a_record_are_escaped(tmp_path: Path) -> None:
    measured = record()
    measured["rule"] = HOSTILE
    measured["family"][-1]["change"] = HOSTILE
    measured["candidates"][5]["failed"] = HOSTILE
    measured["chosen_model"]["genome"]["blocks"][0]["kind"] = HOSTILE
    html = page_of(measured, tmp_path)
    assert html.count("<script") == 1 and html.count("&lt;script&gt;") > 3


def colour_teacher(store: Store) -> Artifact:
    """A teacher that compares mean blue with mean red."""
    keras: Any = keras_files.import_keras()
    image = keras.Input((32, 32, 3), name="image")
    mean = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(image))
    model = keras.Model(image, keras.layers.Dense(2, activation="softmax")(mean))
    model.set_weights([np.array([[-8.0, 8], [0, 0], [8, -8]]), np.zeros(2)])
    return store_model(store, model, ("blue", "red"))


@pytest.mark.long
def test_what_a_real_search_notes_is_drawn(tmp_path: Path) -> None:
    dataset = colour_dataset(tmp_path)
    store = Store(tmp_path / "store")
    plugin = installed().step("search")
    config = plugin.config.model_validate(
        {
            "size": 16,
            "minutes": None,
            "max_candidates": 5,
            "epochs": [1],
            "population": 3,
            "children": 2,
            "finalists": 0,
            "workers": 1,
            "batch_size": 8,
            "augmentation": {"views": 1},
        }
    )
    ran = run_step(
        plugin, config, [colour_teacher(store)], tmp_path / "search", store=store, dataset=dataset
    )
    measured = ran.artifact.record.measured
    (section,) = found_in(dict(measured), tmp_path)
    assert len(section.panels) == 2 and section.history and section.tree
    assert len(section.architectures) + len(section.more_architectures) == len(section.rows)
    assert all(architecture.words.endswith("parameters") for architecture in section.architectures)
    _, _, table = ran.progress[-1][2].partition("\n\n")
    assert table.startswith("| model |") and f"| {measured['front'][0]['name']} |" in table
