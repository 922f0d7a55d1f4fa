"""The commands of the registry: what they print, for people and programs, and how they end."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import typer.testing
from publishable_runs import publishable_run, read_run

from pupila.errors import PupilaError
from pupila_flows.cli.main import app
from pupila_flows.plan.reading import read_plan
from pupila_flows.recipe.source import RecipeError
from pupila_flows.registry import open_registry
from pupila_flows.registry.addresses import default_address
from pupila_flows.run.prefect_artifacts import show_card
from pupila_flows.run.prefect_tasks import PrefectTasks
from pupila_flows.station.address import Address
from pupila_flows.station.environment import environment


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PUPILA_REGISTRY", raising=False)
    monkeypatch.delenv("PUPILA_WORKSPACE", raising=False)
    return tmp_path


def _pupila(*arguments: str | Path, code: int = 0) -> str:
    """Run a command and return what it printed on standard output; raise what it refuses."""
    done = typer.testing.CliRunner().invoke(app, [*map(str, arguments)])
    if isinstance(done.exception, PupilaError):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.stdout


def test_a_run_is_published_rolled_back_compared_and_verified(here: Path):
    first = publishable_run(here)
    assert "Version 1 is current now, the first" in _pupila("publish", first)
    current = open_registry("registry").current("clinic")
    second = publishable_run(here, b"second", published=current)
    published = json.loads(_pupila("publish", second, "--json"))
    assert (published["outcome"], published["version"]) == ("published", 2)
    publication = read_run(second).publication
    assert publication and publication.model_dump(mode="json") == published
    where = ("--registry", here / "registry")  # that of the recipe
    back = _pupila("rollback", "clinic", "--reason", "slow", "--by", "R.", *where)
    assert back == "Version 1 of clinic is current again, after version 2.\n"
    listed = json.loads(_pupila("history", "clinic", "--json", *where))
    assert [(event["kind"], event["by"]) for event in listed["events"]][2:] == [("rollback", "R.")]
    assert "Current: version 1" in _pupila("history", "clinic", *where)
    assert "artifact int8" in _pupila("diff", "clinic", "1", "2", *where)
    assert "do not differ" in _pupila("diff", "clinic", "1", "1", *where)
    assert "is whole: 9 files" in _pupila("verify", "clinic", *where)
    version = here / "registry/clinic/versions/000002"
    assert "is whole: 9 files" in _pupila("verify", version)
    (version / "card.md").write_text("all is well")
    assert "card.md: it has 11 bytes" in _pupila("verify", version, code=1)
    verification = json.loads(
        _pupila("verify", "clinic", "--version", "2", "--json", *where, code=1)
    )
    assert len(verification["problems"]) == 1


def test_the_registry_is_that_of_the_environment_else_of_the_workspace(
    here: Path, monkeypatch: pytest.MonkeyPatch
):
    run = publishable_run(here)
    result = read_run(run)
    plain = result.model_copy(update={"recipe_text": "name: clinic\ngate: {}\n"})
    (run / "result.json").write_text(plain.model_dump_json())
    _pupila("publish", run)
    assert open_registry(".pupila/registry").names() == ["clinic"]
    assert "Current: version 1" in _pupila("history", "clinic")
    monkeypatch.setenv("PUPILA_REGISTRY", str(here / "shared"))
    _pupila("publish", run)
    assert open_registry("shared").names() == ["clinic"]
    assert "Current: version 1" in _pupila("history", "clinic")


def test_what_is_published_already_ends_well_and_what_is_withheld_does_not(here: Path):
    run = publishable_run(here)
    _pupila("publish", run)
    assert "has the same artifacts" in _pupila("publish", run)
    assert _pupila("publish", publishable_run(here, b"second"), code=1) == ""


@pytest.mark.parametrize(
    "arguments",
    [("rollback", "clinic", "--reason", "slow", "--to", "0"), ("verify", "clinic", "--version=0")],
)
def test_there_is_no_version_0_to_name(here: Path, arguments: tuple[str, ...]):
    _pupila("publish", publishable_run(here))
    _pupila(*arguments, "--registry", "registry", code=2)
    assert len(open_registry("registry").events("clinic")) == 1


def test_a_registry_in_the_home_folder_may_be_written_as_shells_do(
    here: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOME", str(here / "home"))
    _pupila("publish", publishable_run(here), "--registry", "~/shared")
    assert open_registry(str(here / "home" / "shared")).names() == ["clinic"]
    assert "Current: version 1" in _pupila("history", "clinic", "--registry", "~/shared")


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("shared/eyes", "{here}/shared/eyes"),
        ("~/eyes", "{here}/home/eyes"),
        ("/srv/eyes", "/srv/eyes"),
        ("s3://bucket/eyes", "s3://bucket/eyes"),
        ("", None),
    ],
)
def test_a_station_tells_its_flows_the_registry_as_seen_from_where_it_was_started(
    here: Path, monkeypatch: pytest.MonkeyPatch, named: str, expected: str | None
):
    monkeypatch.setenv("HOME", str(here / "home"))
    monkeypatch.setenv("PUPILA_REGISTRY", named)
    given = environment(here / ".pupila", Address("127.0.0.1", 4200, "a:b"), "mark")
    monkeypatch.setenv("PUPILA_REGISTRY", given["PUPILA_REGISTRY"])
    monkeypatch.chdir("/")  # as Prefect does: a flow runs in a temporary folder
    fallback = str(here / ".pupila" / "registry")
    assert default_address(here / ".pupila") == (expected or fallback).format(here=here)


def test_a_server_that_does_not_answer_costs_no_run_that_has_published(
    here: Path, caplog: pytest.LogCaptureFixture
):
    from prefect.settings import (
        PREFECT_API_URL,
        PREFECT_CLIENT_MAX_RETRIES,
        temporary_settings,
    )

    run = publishable_run(here)
    _pupila("publish", run)
    publication = read_run(run).publication
    assert publication
    with temporary_settings(
        {PREFECT_API_URL: "http://127.0.0.1:9/api", PREFECT_CLIENT_MAX_RETRIES: 0}
    ):
        show_card(PrefectTasks(), publication, publication.registry)
    assert "Prefect does not show: Version 1 is current now, the first" in caplog.text


def test_a_run_that_did_not_pass_is_published_only_by_a_signed_override(here: Path):
    run = publishable_run(here, verdict="inconclusive")
    assert _pupila("publish", run, code=1) == ""
    with pytest.raises(PupilaError, match="--by is None: state it in words"):
        _pupila("publish", run, "--override", "--reason", "because")
    with pytest.raises(PupilaError, match="--reason is ' ': state it in words"):
        _pupila("publish", run, "--override", "--by", "R.", "--reason", " ")
    with pytest.raises(PupilaError, match="sign an --override"):
        _pupila("publish", run, "--by", "R.", "--reason", "because")
    output = _pupila("publish", run, "--override", "--by", "R.", "--reason", "read by two")
    assert "by an override of R.: read by two" in output
    assert "override" in _pupila("history", "clinic", "--registry", "registry")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["history", "clinic"], "Nothing named 'clinic' was published .*yet"),
        (["verify", "clinic"], "Nothing named 'clinic' was published"),
        (["verify", "nowhere/clinic"], "'nowhere/clinic' is neither a published version nor"),
        (["diff", "clinic", "1", "2"], "Nothing named 'clinic' was published"),
        (["rollback", "clinic", "--reason", "x"], "Nothing named 'clinic' was published"),
        (["publish", "nowhere"], "No run in .* yet"),
        (["history", "clinic", "--registry", "s4://x"], "protocol 's4'"),
    ],
)
def test_what_is_not_there_is_told_in_one_sentence(arguments: list[str], words: str):
    with pytest.raises(PupilaError, match=words):
        _pupila(*arguments)


RECIPE = """\
name: clinic
data: {path: images}
teachers:
  big: {path: model.tflite, classes: [ill, well]}
steps:
  small: {use: quantize-float16, from: big}
publish: {PUBLISH}
"""


def test_a_recipe_that_publishes_without_a_gate_is_warned_of_it(here: Path):
    (here / "recipe.yaml").write_text(RECIPE.replace("{PUBLISH}", "{}"))
    for label in ("ill", "well"):
        (here / "images" / "train" / label).mkdir(parents=True)
        (here / "images" / "train" / label / "1.png").touch()
    (here / "model.tflite").write_bytes(b"0000TFL3")
    done = typer.testing.CliRunner().invoke(app, ["check", "recipe.yaml"])
    assert done.exit_code == 0, done.output
    assert "warning: Nothing is published: the recipe has no gate" in done.stderr


@pytest.mark.parametrize(
    ("publish", "words"),
    [
        ("{artifacts: [smal]}", "'smal' is not a step: .* Did you mean 'small'?"),
        ("{artifacts: [big]}", "'big' is not a step: only what a step made is published"),
        ("{to: 's4://bucket'}", "the protocol 's4', which fsspec does not know"),
        ("{to: '${NOWHERE}/models'}", "environment variable NOWHERE is not set"),
        ("{to: '${NOWHERE:-}'}", r"'\$\{NOWHERE:-\}' is empty: set its variables"),
        ("{name: My Models}", "publish.name is 'My Models': must be at most 64"),
        ("{licens: MIT}", "publish.licens is not a known field. Did you mean 'licence'?"),
    ],
)
def test_a_mistake_in_publish_is_found_before_anything_runs(here: Path, publish: str, words: str):
    (here / "recipe.yaml").write_text(RECIPE.replace("{PUBLISH}", publish))
    with pytest.raises(RecipeError, match=words):
        read_plan(here / "recipe.yaml")


def test_a_run_of_pipes_and_links_is_not_published(here: Path):
    run = publishable_run(here)
    outside = (run / "report.html").rename(here / "secret.html")
    (run / "report.html").symlink_to(outside)
    assert _pupila("publish", run, code=1) == ""
    (run / "report.html").unlink()
    os.mkfifo(run / "report.html")
    assert _pupila("publish", run, code=1) == ""
    (run / "result.json").write_bytes(b"caf\xe9")
    with pytest.raises(PupilaError, match="No readable result of a run in"):
        _pupila("publish", run)
    (run / "result.json").unlink()
    os.mkfifo(run / "result.json")
    with pytest.raises(PupilaError, match="No readable result of a run in"):
        _pupila("publish", run)
