"""How a run ends in Prefect - completed, withheld, failed - and when its verdict has changed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from clinic import pupila, write_pictures, write_teacher
from command_line import user_environment

pytestmark = pytest.mark.long

RECIPE = """\
name: colours
data: {path: images, positive: red}
teachers:
  big: {path: teacher.keras, classes: [green, red]}
steps:
  tflite: {use: export-tflite, from: big}
evaluate: {latency_repeats: 5}
gate: {margins: {accuracy: MARGIN}, limits: {size_bytes: BYTES}}
publish: {licence: CC0-1.0}
"""
NIGHTS = (
    {"accuracy": 0.001, "bytes": 10**7},
    {"accuracy": 0.001, "bytes": 10**7},
    {"accuracy": 0.2, "bytes": 10**7},
    {"accuracy": 0.2, "bytes": 10},
)
"""An equal model of 120 images: inconclusive, the same again, passed, and too large."""
RUN = """
import json, sys, time
from pathlib import Path

from prefect.client.orchestration import get_client
from prefect.testing.utilities import prefect_test_harness

from pupila_flows.run.flow import RunFailed, compress

folder, told = Path(sys.argv[1]), []

if __name__ == "__main__":
    with prefect_test_harness(server_startup_timeout=120):
        for recipe in sys.argv[2:]:
            (folder / "recipe.yaml").write_text(recipe)
            try:
                path = compress(str(folder / "recipe.yaml"), str(folder / ".pupila"))
            except RunFailed as failure:
                path = str(failure.result)
            with get_client(sync_client=True) as client:
                runs = client.read_flow_runs()
            state = max(runs, key=lambda run: run.start_time).state
            told.append([state.type.value, state.name, state.message, path])
            time.sleep(1.1)  # folders of runs are named by the second
        wanted = {"filter": {"event": {"name": ["pupila.verdict.changed"]}}}
        for _ in range(60):
            with get_client(sync_client=True) as client:
                events = client._client.post("/events/filter", json=wanted).json()["events"]
            if len(events) >= 2:
                break
            time.sleep(0.5)
        with get_client(sync_client=True) as client:
            artifacts = sorted(client.read_artifacts(), key=lambda each: each.created)
    events.sort(key=lambda event: event["occurred"])
    shown = [each.data for each in artifacts if each.key == "colours-verdict"]
    print(json.dumps([told, events, shown]))
"""


Nights = tuple[list[list[str]], list[Any], list[str]]


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Nights:
    """What Prefect knows of four runs of a recipe, and which changes of verdict it heard of."""
    folder = tmp_path_factory.mktemp("nights")
    write_pictures(folder / "images")
    write_teacher(folder / "teacher.keras", 1)
    recipes = [
        RECIPE.replace("MARGIN", str(night["accuracy"])).replace("BYTES", str(night["bytes"]))
        for night in NIGHTS
    ]
    environment = user_environment()
    done = subprocess.run(
        [sys.executable, "-c", RUN, folder, *recipes],
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    # the first recipe again, by the command line: the last run of the folder
    (folder / "recipe.yaml").write_text(recipes[0])
    pupila(folder, "run", "recipe.yaml", code=1)
    return json.loads(done.stdout.splitlines()[-1])


def test_an_inconclusive_gate_withholds_a_run_that_did_not_fail(
    nights: Nights,
):
    output, _, _ = nights
    for kind, name, message, path in output[:2]:
        assert (kind, name) == ("COMPLETED", "Withheld")
        assert message.startswith("Nothing is published") and "tflite" in message
        assert "\n" not in message and len(message) < 200
        assert json.loads(Path(path).read_text())["gate"]["verdict"] == "inconclusive"
        assert Path(path).with_name("report.html").exists()


def test_a_run_that_passes_completes_and_one_that_fails_its_gate_fails_in_a_line(
    nights: Nights,
):
    output, _, _ = nights
    assert output[2][:2] == ["COMPLETED", "Completed"]
    kind, name, message, _ = output[3]
    assert (kind, name) == ("FAILED", "Failed")
    assert "gate: tflite fails: size" in message
    assert "\n" not in message and len(message) < 200


def test_the_verdict_stands_in_the_ui_with_paths_where_no_station_serves_the_pages(nights: Nights):
    output, _, shown = nights
    gates = ["INCONCLUSIVE", "INCONCLUSIVE", "PASS", "FAIL"]
    assert [
        gate for gate, text in zip(gates, shown, strict=True) if f"Gate: {gate}" in text
    ] == gates
    published = [text.partition("### Pages")[0].rpartition("### ")[2] for text in shown]
    assert [text.partition("\n")[0] for text in published] == [
        "Nothing of colours is published",
        "Nothing of colours is published",
        "Published: colours, version 1",
        "Nothing of colours is published",
    ]
    for (_, _, _, path), text in zip(output, shown, strict=True):
        assert f"* Report: `{Path(path).with_name('report.html')}`" in text
        assert "* Data Docs: `" in text and "file://" not in text and "](" not in text
    assert "card.html`" in shown[2]


def test_a_change_of_verdict_is_told_once_and_an_unchanged_night_is_silent(
    nights: Nights,
):
    _, events, _ = nights
    assert [event["payload"]["message"] for event in events] == [
        "colours: the verdict of the gate has changed: inconclusive → pass; "
        "tflite: inconclusive → pass.",
        "colours: the verdict of the gate has changed: pass → fail; tflite: pass → fail.",
    ]
    for event in events:
        assert event["resource"]["prefect.resource.id"] == "pupila.recipe.colours"
        roles = {related["prefect.resource.role"] for related in event["related"]}
        assert {"flow-run", "flow"} <= roles
