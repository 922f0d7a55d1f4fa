"""A job's key holds all that its result depends on, and nothing else."""

from __future__ import annotations

import importlib
import json
import math
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar, get_args

import pytest
from pydantic import BaseModel, Field

from pupila import Artifact, InputSpec, OutputSpec
from pupila.artifact import Origin
from pupila.runtime import Progress
from pupila.store import Store
from pupila.testing import ignore_progress
from pupila_flows import jobs
from pupila_flows.execution.job import NOT_KEYED, Job, Keyed
from pupila_flows.execution.session import perform, session
from pupila_flows.jobs.adopt_artifact import AdoptArtifact
from pupila_flows.workspace import Workspace


class Listing(BaseModel):
    file: Annotated[Path, Keyed(lambda file: file.stem)]
    seen: Annotated[int, NOT_KEYED] = 0


class Sum(BaseModel):
    total: float


class Add(Job[Sum]):
    returns: ClassVar[Any] = Sum

    numbers: tuple[float, ...]
    listing: Listing
    other: Annotated[Path, Keyed(lambda file: file.stem)] | None = None
    more: tuple[Listing, ...] = ()
    settings: dict[str, Any] = Field(default_factory=dict)
    note: Annotated[str, NOT_KEYED] = ""

    def run(self, progress: Progress) -> Sum:
        progress(1, 1, "added")
        return Sum(total=sum(self.numbers))


def add(folder: Path, **changes: Any) -> Add:
    given: dict[str, Any] = {"workspace": Workspace(folder), "title": "add", "numbers": (1, 2)}
    return Add.model_validate(given | {"listing": Listing(file=folder / "a.csv")} | changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"workspace": Workspace(Path("/elsewhere"))},
        {"title": "sum"},
        {"note": "in haste"},
        {"listing": Listing(file=Path("/elsewhere/a.csv"), seen=3)},
    ],
)
def test_where_a_job_is_done_and_what_it_is_called_is_not_in_its_key(changes: dict[str, Any]):
    assert add(Path("/here"), **changes).key == add(Path("/here")).key


@pytest.mark.parametrize(
    "changes",
    [
        {"numbers": (1, 2, 3)},
        {"listing": Listing(file=Path("/here/b.csv"))},
        {"other": Path("/here/a.csv")},
    ],
)
def test_what_the_result_depends_on_is_in_the_key(changes: dict[str, Any]):
    assert add(Path("/here"), **changes).key != add(Path("/here")).key


def test_a_mark_counts_where_the_field_may_be_none():
    one, two = (add(Path("/here"), other=Path(folder) / "x.csv") for folder in ("/a", "/b"))
    assert one.identity()["other"] == "x"
    assert one.key == two.key


def test_marks_count_inside_of_lists_and_mappings():
    one, two = (
        add(
            Path("/here"),
            more=(Listing(file=Path(folder) / "x.csv"),),
            settings={"of": Listing(file=Path(folder) / "y.csv", seen=len(folder))},
        )
        for folder in ("/a", "/elsewhere")
    )
    assert one.identity()["more"] == [{"file": "x"}]
    assert one.identity()["settings"] == {"of": {"file": "y"}}
    assert one.key == two.key


def test_infinity_gets_into_the_process_of_a_job():
    job = add(Path("/here"), settings={"limit": math.inf})
    sent = json.loads(json.dumps(job.model_dump(mode="json")))
    assert Add.model_validate(sent).settings == {"limit": math.inf}
    assert len({job.key, add(Path("/here"), settings={"limit": None}).key}) == 2


def test_what_another_version_remembered_in_another_form_is_done_again(tmp_path: Path):
    published = artifact(tmp_path / "elsewhere")
    job = AdoptArtifact.of(Workspace.at(tmp_path / "other"), "int8", published)
    job.workspace.store.note(job.key, {"digest": published.digest})
    with session(job.workspace, 1):
        first, second = perform(job), perform(job)
    assert (first.value.artifact, first.cached) == (published.digest, False)
    assert (second.value, second.cached) == (first.value, True)


def artifact(folder: Path) -> Artifact:
    """Store an artifact of a format of which nothing is known, and so nothing is checked."""
    store = Store(folder)
    with store.draft() as draft:
        (draft / "model.other").write_bytes(b"weights")
        return store.add(
            draft,
            format="other",
            input=InputSpec(height=8, width=8),
            output=OutputSpec(kind="softmax", classes=("ill", "well")),
            origin=Origin(plugin="x", distribution="x", version="0"),
        )


@pytest.mark.parametrize("content", ["", "{", '"text"', "[1]", "{}", '{"total": "many"}'])
def test_a_job_whose_entry_in_the_ledger_was_damaged_is_done_again(tmp_path: Path, content: str):
    published = artifact(tmp_path / "elsewhere")
    job = AdoptArtifact.of(Workspace.at(tmp_path / "other"), "int8", published)
    entry = job.workspace.root / "store" / "ledger" / f"{job.key}.json"
    with session(job.workspace, 1):
        first = perform(job)
        entry.write_text(content)
        second, third = perform(job), perform(job)
    assert (first.value, second.cached, third.cached) == (second.value, False, True)


def test_the_process_of_a_job_reads_what_was_written_and_gives_its_key():
    job = add(Path("/here"))
    sent = job.model_dump(mode="json")
    assert Add.model_validate(sent).key == job.key
    assert Add.call(progress=ignore_progress, **sent) == {"total": 3.0}
    assert job.target == f"{__name__}:Add.call"


def all_jobs() -> Iterator[type[Job[Any]]]:
    for module in pkgutil.iter_modules(jobs.__path__, f"{jobs.__name__}."):
        for value in vars(importlib.import_module(module.name)).values():
            if (
                isinstance(value, type)
                and issubclass(value, Job)
                and value.__module__ == module.name
            ):
                yield value


def test_each_job_says_of_every_path_what_of_it_is_in_the_key():
    names = {job.__name__ for job in all_jobs()}
    assert {"RunStep", "Evaluate", "ImportTeacher", "Publish"} <= names
    for job in all_jobs():
        for name, field in job.model_fields.items():
            kinds = (field.annotation, *get_args(field.annotation))
            marked = any(isinstance(mark, Keyed) for mark in field.metadata)
            # a run's folder is its own: its result file is all that names a publication
            own = (job.__name__, name) == ("Publish", "result")
            assert marked or own or not {Path, Workspace} & set(kinds), f"{job.__name__}.{name}"
