"""The flow: data → checks → teachers → the graph of steps → judgement → report.

Every arrow is a Prefect task; the work itself happens in child processes (`pupila_flows.work`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect import flow, task
from prefect.artifacts import (
    create_link_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.futures import PrefectFuture, as_completed
from prefect.states import Completed
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.tasks import Task
from rich.markup import escape

from pupila.artifact import Artifact
from pupila.dataset import Dataset
from pupila.errors import PupilaError
from pupila.evaluation import Evaluation, Measurement, Trial
from pupila.openset import OpenSetImages, check_accepts
from pupila.plugin import Exporter
from pupila.registry import installed
from pupila.store import write_atomically
from pupila_flows import assignments, display, machine, trials
from pupila_flows.child import ChildFailed
from pupila_flows.data import read_data
from pupila_flows.expansion import Node, expand, points
from pupila_flows.negatives import writing as negatives
from pupila_flows.openset import corruptions
from pupila_flows.openset.reading import read_near_misses, scanned
from pupila_flows.plan import Plan, read_plan
from pupila_flows.recipe import ScreenSection
from pupila_flows.results import Check, DataSummary, Entry, RunResult, Tried
from pupila_flows.synthetic import is_synthetic
from pupila_flows.tables import check_lines, result_rows
from pupila_flows.validation import screening
from pupila_flows.work import Outcome, Work, perform, session
from pupila_flows.workspace import DEFAULT, Workspace

_PROGRESS_ARTIFACT_SECONDS = 5.0
"""Prefect's database is told of progress no more often than this."""

_OTHERWISE = "tells other classes apart: not judged"
_WHOLE = "all steps"
"""Title of the progress of the whole graph."""

Made = Mapping[str, State[Outcome]]
Futures = Mapping[str, PrefectFuture[Outcome]]


class DataRefused(PupilaError):
    """The data broke an expectation that stops a run."""

    def __init__(self, summary: DataSummary) -> None:
        self.summary = summary
        failed = [c for c in summary.checks if not c.passed and c.severity == "error"]
        lines = ["The data does not meet its expectations; nothing was trained."]
        lines += [line for check in failed for line in check_lines(check)]
        super().__init__("\n".join([*lines, f"Data Docs: {summary.data_docs}"]))


class RunFailed(RuntimeError):
    """A part of the run failed; the rest, and `result`, are there."""

    def __init__(self, result: Path, failures: list[str]) -> None:
        self.result = result
        super().__init__("; ".join(failures))


@dataclass(frozen=True)
class _Run:
    """What all parts of a run read."""

    plan: Plan
    place: Workspace
    dataset: Dataset
    nodes: tuple[Node, ...]
    open_set: OpenSetImages | None = None

    @property
    def positive(self) -> str:
        return assignments.positive_class(self.plan.recipe.data, self.dataset)


# Prefect leaves the type of its futures open.
_THREADS: Any = ThreadPoolTaskRunner(max_workers=64)  # pyright: ignore[reportUnknownVariableType]
"""They only wait for child processes; how many of those run at once is the recipe's `workers`."""


@flow(name="compress", task_runner=_THREADS)
def compress(recipe: str, workspace: str = DEFAULT) -> str:
    """Make, judge and report every model of a recipe, and return the path of `result.json`.

    Args:
        recipe: Path of the recipe file.
        workspace: Folder for artifacts, caches, logs and reports.

    Raises:
        PupilaError: the recipe or the data is not as it must be; nothing was trained.
        RunFailed: a step failed, or a judgement, or the report; what did not is kept.
    """
    plan = read_plan(Path(recipe))
    return _run(plan, expand(plan), Workspace.at(workspace))


@flow(name="sweep", task_runner=_THREADS)
def sweep(recipe: str, workspace: str = DEFAULT) -> str:
    """Run a recipe with every combination of the values in its `sweep`; see `compress`.

    Only what comes last of each branch is judged, and its control. Teachers, and whatever no value
    touches, run once; nothing that an earlier run or sweep has made is made again.
    """
    plan = read_plan(Path(recipe))
    if not plan.recipe.sweep:
        example = "sweep: {pupil.alpha: [0, 0.1, 0.5]}"
        raise PupilaError(
            f"{recipe!r} names no values to try: give it a section like `{example}`, "
            "or use `pupila run`."
        )
    return _run(plan, expand(plan, points(plan)), Workspace.at(workspace), swept=True)


def _run(plan: Plan, nodes: tuple[Node, ...], place: Workspace, *, swept: bool = False) -> str:
    started, clock = datetime.now(UTC), time.monotonic()
    place.store.sweep()
    with session(place, plan.recipe.workers):
        given = _Run(plan, place, _dataset(plan, place), nodes)
        run, data = _with_hard_negatives(given, _checked_data(given))
        run = replace(run, open_set=_open_set(run))
        teachers = _import_teachers(run)
        data = _screened(given, data, teachers)
        made = _make_all(run, teachers)
        entries = _try_all(run, _judge_all(run, made, only_last=swept))
        test = run.dataset.select("test")
        result = RunResult(
            name=plan.recipe.name,
            recipe_path=str(plan.file),
            recipe_text=plan.text,
            seed=plan.recipe.seed,
            synthetic=is_synthetic(plan.data),
            started=started.isoformat(timespec="seconds"),
            seconds=time.monotonic() - clock,
            data=data,
            entries=tuple(entries),
            sweep=plan.recipe.sweep if swept else {},
            specificity=plan.recipe.evaluate.specificity,
            machine=machine.describe(),
            versions=machine.versions(),
            test_images=tuple(map(str, test.paths)),
            test_labels=tuple(test.labels.tolist()),
        )
        path = _save(run, result, started)
        failures = [f"{entry.name}: {entry.error}" for entry in entries if entry.error]
        failures += _report(result, path)
    if failures:
        raise RunFailed(path, failures)
    return str(path)


@task(cache_policy=NO_CACHE)
def do(work: Work, inputs: list[Outcome]) -> State[Outcome]:
    """Do a piece of work on what was made before, in a child process."""
    if inputs:
        work = work.on([each.value["artifact"] for each in inputs])
    progress = _ProgressArtifact(work.title)
    outcome = perform(work, progress)
    progress.finish()
    return Completed(data=outcome, name="Cached" if outcome.cached else "Completed")


def _crashed(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Tell whether trying again can help: after a crash, yes; with wrong input, never."""
    del task, run
    return isinstance(state.result(raise_on_failure=False), ChildFailed)


def _task(name: str, retries: int = 1) -> Any:
    """Return the task `do` under the name that the Prefect UI shows."""
    return do.with_options(
        name=name, retries=retries, retry_delay_seconds=2, retry_condition_fn=_crashed
    )


class _ProgressArtifact:
    """A Prefect progress artifact, for work that takes long enough to be looked at."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._last = time.monotonic()
        self._artifact: Any = None

    def __call__(self, done: int, total: int, what: str) -> None:
        now = time.monotonic()
        if now - self._last < _PROGRESS_ARTIFACT_SECONDS:
            return
        self._last = now
        self._tell(100 * done / max(total, 1), f"{self._title}: {what}")

    def finish(self) -> None:
        """Show that the work is done, where any progress was shown."""
        if self._artifact is not None:
            self._tell(100, f"{self._title}: done")

    def _tell(self, percent: float, text: str) -> None:
        try:
            if self._artifact is None:
                self._artifact = create_progress_artifact(percent, description=text)
            else:
                update_progress_artifact(self._artifact, progress=percent, description=text)
        except Exception:  # a server that does not answer must not cost hours of training
            logging.getLogger(__name__).warning("Prefect was not told: %s", text, exc_info=True)


def _dataset(plan: Plan, place: Workspace) -> Dataset:
    """Read the data and make sure that the teachers speak of its classes, where they must."""
    read = task(name="read data", cache_policy=NO_CACHE)(read_data)
    dataset = read(plan.data, plan.recipe.data.classes, place.cache)
    for teacher in plan.teachers:
        reason = plan.bound(teacher.name)
        if reason and not _same(teacher.contract.classes, dataset.classes):
            raise PupilaError(
                f"Teacher {teacher.name!r} tells {list(teacher.contract.classes)} apart, but the "
                f"data has the classes {list(dataset.classes)}, and {reason}. Correct `classes` of "
                "the teacher, or the data."
            )
    open_set, made = plan.recipe.evaluate.open_set, plan.recipe.data.hard_negatives
    if open_set:
        check_accepts(open_set.accepts, dataset)
    if made:
        negatives.check_label(made.label, dataset)
    positive = plan.recipe.data.positive
    if positive not in (None, *dataset.classes):
        raise PupilaError(f"positive is {positive!r}: none of the classes {dataset.classes}.")
    return dataset


def _same(classes: Sequence[str], others: Sequence[str]) -> bool:
    return sorted(classes) == sorted(others)


def _checked_data(run: _Run) -> DataSummary:
    """Validate the data and return what was found.

    Raises:
        DataRefused: an expectation that stops a run is broken.
    """
    section, source = run.plan.recipe.data, str(run.plan.data)
    work = assignments.check_data(run.place, run.dataset, section, source)
    outcome = _outcome(_task("check data")(work, [], return_state=True))
    summary = assignments.data_summary(run.dataset, section, source, outcome)
    if summary.data_docs:
        create_link_artifact(Path(summary.data_docs).as_uri(), "Data Docs")
    if not summary.passed:
        raise DataRefused(summary)
    return summary


def _with_hard_negatives(run: _Run, data: DataSummary) -> tuple[_Run, DataSummary]:
    """Add images made from the training images, where the recipe asks for them, and say so."""
    section = run.plan.recipe.data.hard_negatives
    if section is None:
        return run, data
    train = run.dataset.select("train")
    work = assignments.make_negatives(run.place, train, section, run.plan.recipe.seed)
    folder = Path(_outcome(_task(work.title)(work, [], return_state=True)).value["images"])
    seed = run.plan.recipe.seed
    dataset, check = negatives.added(run.dataset, folder, section.label, seed)
    display.current.get().finish(work.title, check.found)
    counts, fingerprint = assignments.counts(dataset), dataset.fingerprint
    changes = {"counts": counts, "fingerprint": fingerprint, "checks": (*data.checks, check)}
    return replace(run, dataset=dataset), data.model_copy(update=changes)


def _open_set(run: _Run) -> OpenSetImages | None:
    """Read, and make, what every artifact is asked about as a gate, where the recipe says so."""
    section = run.plan.recipe.evaluate.open_set
    if section is None:
        return None
    classes, cache = run.dataset.classes, run.place.cache
    near = run.plan.near_misses
    return OpenSetImages(
        section.accepts,
        near_misses=read_near_misses(near, classes, cache) if near else None,
        corrupted=_altered(run, section.accepts) if section.corruptions else None,
    )


def _altered(run: _Run, accepts: str) -> Dataset:
    """Return the accepted test images with every alteration."""
    test, place = run.dataset.select("test"), run.place
    rows = test.frame["label"] == accepts
    accepted = Dataset(test.frame[rows].reset_index(drop=True), test.classes, test.cache)
    work = assignments.alter(place, accepted)
    folder = Path(_outcome(_task(work.title)(work, [], return_state=True)).value["images"])
    return scanned(corruptions.altered(folder), test.classes, place.cache, work.title)


def _import_teachers(run: _Run) -> Futures:
    """Begin to read the teachers."""
    return {
        teacher.name: _task(teacher.name).submit(assignments.import_teacher(run.place, teacher), [])
        for teacher in run.plan.teachers
    }


def _screened(run: _Run, data: DataSummary, teachers: Futures) -> DataSummary:
    """Add what a gate says of the images, where the recipe names one; it stops nothing."""
    section = run.plan.recipe.data.screen
    if section is None:
        return data
    gate = teachers[section.teacher]
    gate.wait()
    check = _screening(run, section, gate.state)
    display.current.get().finish("screen", escape("\n".join(check_lines(check))))
    return data.model_copy(update={"checks": (*data.checks, check)})


def _screening(run: _Run, section: ScreenSection, imported: State[Outcome]) -> Check:
    if not imported.is_completed():
        return screening.not_asked(section.teacher, section.accepts, _reason(imported))
    try:
        gate = run.place.store.open(_outcome(imported).value["artifact"])
        work = assignments.screen(run.place, section, gate, run.dataset)
    except PupilaError as error:
        return screening.not_asked(section.teacher, section.accepts, str(error))
    state = _task("screen")(work, [], return_state=True)
    if state.is_completed():
        return Check.model_validate(_outcome(state).value["check"])
    return screening.not_asked(section.teacher, section.accepts, _reason(state))


def _make_all(run: _Run, teachers: Futures) -> Made:
    """Run the graph, branches side by side; a failure stays local."""
    futures = dict(teachers)
    for node in run.nodes:
        work = assignments.run_step(run.place, node, run.dataset)
        inputs = [futures[name] for name in node.inputs]
        futures[node.name] = _task(node.name, node.retries).submit(work, inputs)
    shown = display.current.get()
    for done, future in enumerate(as_completed(list(futures.values())), start=1):
        future.wait()  # keeps the outcome with the future, from where no server has to give it back
        shown.update(_WHOLE, done, len(futures), f"{done} of {len(futures)} made")
    shown.finish(_WHOLE, "[green]made[/]")
    return {name: future.state for name, future in futures.items()}


def _judge_all(run: _Run, made: Made, *, only_last: bool) -> list[Entry]:
    """Judge the artifacts, one at a time: no other work of ours disturbs the latencies."""
    inside = {name for node in run.nodes for name in node.inputs if only_last}
    inside -= run.plan.recipe.teachers.keys()
    inside -= {node.control for node in run.nodes if node.name not in inside}
    unjudged = inside | {node.name for node in run.nodes if not node.plugin.judged}
    return [_judged(run, entry, made, judge=entry.name not in unjudged) for entry in _entries(run)]


def _entries(run: _Run) -> list[Entry]:
    """List the nodes of the graph as the recipe has them, before anything is known of them."""
    teachers = [
        Entry(name=each.name, kind="teacher", uses=each.path.name) for each in run.plan.teachers
    ]
    written = list(run.plan.recipe.steps)
    steps = [
        Entry(
            name=node.name,
            kind="step",
            uses=node.plugin.name,
            inputs=node.inputs,
            config=node.config.model_dump(mode="json"),
            seed=node.seed if node.seeded else None,
            repeats=node.repeats,
            control=node.control,
            reference=node.reference,
            taught=node.taught,
            settings=dict(node.settings),
            without=dict(node.without),
        )
        for node in sorted(run.nodes, key=lambda node: written.index(node.step))
    ]
    return teachers + sorted(steps, key=lambda entry: entry.repeats is not None)


def _judged(run: _Run, entry: Entry, made: Made, *, judge: bool) -> Entry:
    """Complete an entry with its artifact and judgement, or with what went wrong."""
    state = made[entry.name]
    if not state.is_completed():
        return entry.model_copy(update={"error": _reason(state)})
    outcome = _outcome(state)
    digest: str = outcome.value["artifact"]
    made_of: dict[str, Any] = {
        "artifact": digest,
        "cached": outcome.cached,
        "seconds": outcome.seconds,
    }
    try:
        artifact = run.place.store.open(digest)
        made_of |= {"record": artifact.record}
        if not _same(artifact.record.output.classes, run.dataset.classes):
            made_of |= {"unjudged": _OTHERWISE} if judge else {}
        elif judge:
            made_of |= _judgement(run, entry.name, artifact, _reference(entry, made))
    except PupilaError as error:
        made_of |= {"error": str(error)}
    return entry.model_copy(update=made_of)


def _judgement(
    run: _Run, name: str, artifact: Artifact, reference: tuple[str, str] | None
) -> dict[str, Any]:
    """Return the evaluation or measurement of an artifact, or the error in its place."""
    section = run.plan.recipe.evaluate
    work = assignments.judge(
        run.place, name, artifact, run.dataset, run.positive, section, reference, run.open_set
    )
    state: State[Outcome] = _task(work.title)(work, [], return_state=True)
    if not state.is_completed():
        return {"error": _reason(state)}
    found = _outcome(state).value
    if artifact.record.untrained:
        return {"measurement": Measurement.model_validate(found)}
    return {"evaluation": Evaluation.model_validate(found)}


def _try_all(run: _Run, entries: list[Entry]) -> list[Entry]:
    """Try what runs in its own runtime in the others that the recipe names, one after another."""
    section = run.plan.recipe.evaluate
    if not section.tries:
        return entries
    images = trials.probe(run.dataset.select("test"), section.probe_images)
    artifacts = {entry.name: entry.artifact for entry in entries}
    return [
        _tried(run, entry, images, artifacts) if entry.evaluation or entry.measurement else entry
        for entry in entries
    ]


def _tried(run: _Run, entry: Entry, images: Dataset, artifacts: Mapping[str, str | None]) -> Entry:
    """Complete an entry with how it did in each runtime, and with what went wrong there."""
    artifact, section = run.place.store.open(str(entry.artifact)), run.plan.recipe.evaluate
    exported = entry.kind == "step" and isinstance(installed().step(entry.uses), Exporter)
    source = artifacts[entry.inputs[0]] if exported else None
    tried: list[Tried] = []
    for runner, threads in trials.runtimes(artifact.format, section):
        work = assignments.attempt(
            run.place, entry.name, artifact, runner, images, threads, section, source
        )
        state: State[Outcome] = _task(work.title)(work, [], return_state=True)
        if state.is_completed():
            trial = Trial.model_validate(_outcome(state).value)
            found: dict[str, Any] = {"trial": trial, "failure": trials.failure(trial, section)}
        else:
            found = {"failure": _reason(state)}
        tried.append(Tried(runtime=runner.name, threads=threads, **found))
    failures = [f"{each.runtime}: {each.failure}" for each in tried if each.failure]
    error = "; ".join(dict.fromkeys(failures)) or None
    return entry.model_copy(update={"tried": tuple(tried), "error": error})


def _reference(entry: Entry, made: Made) -> tuple[str, str] | None:
    """Return name and digest of the teacher that an entry is compared with, if it was made."""
    name = entry.reference
    if name is None or not made[name].is_completed():
        return None
    return name, _outcome(made[name]).value["artifact"]


def _outcome(state: State[Outcome]) -> Outcome:
    outcome: Any = state.result()
    return outcome


def _reason(state: State[Outcome]) -> str:
    """Say why a state is not completed, in the words of the error itself."""
    if state.name == "NotReady":
        return "Not made: what it builds on was not made."
    return str(state.result(raise_on_failure=False))


def _save(run: _Run, result: RunResult, started: datetime) -> Path:
    """Write `result.json` into a new folder of the workspace, and tell Prefect."""
    path = run.place.runs / result.name / started.strftime("%Y%m%dT%H%M%SZ") / "result.json"
    write_atomically(path, result.model_dump_json(indent=2).encode())
    create_table_artifact(result_rows(result), key=f"{result.name}-results")
    return path


def _report(result: RunResult, path: Path) -> list[str]:
    """Draw the report beside a result, and return what failed; an unchanged run keeps its own."""
    judged = [
        [entry.model_dump(mode="json", exclude={"cached", "seconds"}) for entry in result.entries],
        result.recipe_text,
        result.data.model_dump(mode="json"),
        result.synthetic,
    ]
    work = assignments.render_report(path, path.parent, judged)
    state: State[Outcome] = _task("report")(work, [], return_state=True)
    if not state.is_completed():
        return [f"report: {_reason(state)}"]
    report = Path(_outcome(state).value["report"])
    for drawn in (report, *report.parent.glob("sweep.*")):
        link = path.with_name(drawn.name)
        if not link.exists():
            link.symlink_to(drawn)
    create_link_artifact(report.as_uri(), "Report", key=f"{result.name}-report")
    return []
