"""Adds a teacher to the teacher store. The teacher becomes current only if a loader reads it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from pupila.digest import digest_tree
from pupila.errors import PupilaError, list_names
from pupila.pixel_scaling import Preprocess
from pupila.plugin import CLASSIFICATION
from pupila.plugin_registry import installed
from pupila.spec import OutputSpec
from pupila.store import is_artifact
from pupila_flows.data.reading import read_data
from pupila_flows.data.training_images import TrainingImages
from pupila_flows.execution.session import perform, session
from pupila_flows.jobs.import_teacher import ImportTeacher
from pupila_flows.plan.plan import PlannedTeacher, planned_artifact
from pupila_flows.plan.task_fields import names_fault
from pupila_flows.recipe.errors import sentence
from pupila_flows.run.given_models import check_kind, invalid_classes
from pupila_flows.teachers import StoredTeacher, TeacherRecord, TeacherStore
from pupila_flows.workspace import Workspace


@dataclass(frozen=True)
class AddedTeacher:
    """The result of adding a teacher."""

    teacher: StoredTeacher
    changed: bool
    """Whether runs now use a different version than before."""


def add_teacher(
    workspace: Workspace,
    name: str,
    source: Path,
    classes: tuple[str, ...] | None = None,
    output: str | None = None,
    trained_on: Path | None = None,
    task: str | None = None,
    preprocess: Preprocess | None = None,
) -> AddedTeacher:
    """Add a model to the teacher store, as the version that later runs get for `teacher:NAME`.

    `classes`, `output`, `task` and `preprocess` describe a model file; an artifact has them in its
    record. If one is None, its value is taken from the teacher's current version. If the same model
    was added before, the version that was made then becomes current again. `trained_on` is a folder
    or a CSV of the images that the teacher was trained on; images of the split `test` are left out.

    Raises:
        PupilaError: the model is missing, no loader reads it, or its classes are not known.
        ChildFailed: the loader crashed.
    """
    if not source.exists():
        raise PupilaError(f"No model at {str(source)!r}: give the path of an existing file.")
    teacher_store = TeacherStore.of(workspace.root)
    images = None
    if trained_on:
        learned = task or _known_task(teacher_store, name, source)
        names = None if learned == CLASSIFICATION else classes
        images = TrainingImages.of(read_data(trained_on, names, workspace.cache, learned))
    with teacher_store.locked(name):
        known = teacher_store.versions(name)
        current = teacher_store.current(name) if name in teacher_store.names() else None
        spec = _spec(source, current, classes, output, task)
        scaling = _scaling(source, current, preprocess)
        identity = digest_tree(source), spec, scaling
        same = [version for version in known if _identity(version) == identity]
        unchanged = current is not None and current in same
        teacher = (
            current
            if current and unchanged
            else same[-1]
            if same
            else _add(workspace, teacher_store, name, source, spec, scaling)
        )
        if images:
            images.write(teacher.folder)
        if not unchanged:
            teacher_store.make_current(teacher)
    return AddedTeacher(teacher, changed=not unchanged)


def _known_task(teacher_store: TeacherStore, name: str, source: Path) -> str:
    """Return what a model has learned, if the user does not say."""
    if is_artifact(source):
        return planned_artifact(source.name, source, installed()).spec.task
    if name in teacher_store.names():
        return teacher_store.current(name).record.task
    return CLASSIFICATION


def _identity(teacher: StoredTeacher) -> tuple[str, OutputSpec, Preprocess]:
    """Return what makes two versions of a teacher the same one."""
    return teacher.record.sha256, teacher.record.spec, teacher.record.preprocess


def _scaling(
    source: Path, current: StoredTeacher | None, preprocess: Preprocess | None
) -> Preprocess:
    """Return the scaling of pixels, from the arguments or the current version.

    Raises:
        PupilaError: it is given for an artifact.
    """
    if not is_artifact(source):
        return preprocess or (current.record.preprocess if current else "none")
    if preprocess not in (None, "none"):
        raise PupilaError(
            f"{str(source)!r} is an artifact, whose scaling was built in when it was made: leave "
            f"--preprocess out."
        )
    return "none"


def _add(
    workspace: Workspace,
    teacher_store: TeacherStore,
    name: str,
    source: Path,
    spec: OutputSpec,
    preprocess: Preprocess,
) -> StoredTeacher:
    with teacher_store.draft(name, source) as copy:
        try:
            _import(workspace, name, copy, spec, preprocess)
        except PupilaError as error:  # it speaks of the copy, which the user has never seen
            raise PupilaError(str(error).replace(str(copy), str(source))) from None
        added = datetime.now(UTC).isoformat(timespec="seconds")
        record = TeacherRecord.of(source.name, digest_tree(copy), added, spec, preprocess)
        return teacher_store.seal(name, copy, record)


def _import(
    workspace: Workspace, name: str, copy: Path, spec: OutputSpec, preprocess: Preprocess
) -> None:
    """Import a model in the same way as a run, so that runs can reuse the result."""
    registry = installed()
    planned = (
        planned_artifact(name, copy, registry)
        if is_artifact(copy)
        else PlannedTeacher(name, copy, registry.loader(copy).produces, spec, preprocess)
    )
    with session(workspace, workers=1):
        perform(ImportTeacher.of(workspace, planned))


def _spec(
    source: Path,
    current: StoredTeacher | None,
    classes: tuple[str, ...] | None,
    output: str | None,
    task: str | None,
) -> OutputSpec:
    """Return the model's output spec, from its record, the arguments or the current version."""
    if is_artifact(source):
        return _recorded_spec(source, classes, output, task)
    before = current.record if current and task in (None, current.record.task) else None
    learned = installed().task(task or (before.task if before else CLASSIFICATION))
    check_kind(output, learned)
    names = classes or (before.classes if before else learned.default_classes)
    if not names:
        raise PupilaError(
            f"The classes of {str(source)!r} are not known: name that of each output column with "
            "--classes, as in `--classes glaucoma,normal`."
        )
    if fault := names_fault(names, learned):
        raise invalid_classes(names, fault)
    kind = output or (before.output if before else learned.output_kinds[0])
    try:
        return OutputSpec(task=learned.name, kind=kind, classes=names)
    except ValidationError as error:
        reason = sentence(error.errors()[0])
        raise PupilaError(f"The classes {list_names(names)} cannot be so: {reason}.") from None


def _recorded_spec(
    source: Path, classes: tuple[str, ...] | None, output: str | None, task: str | None
) -> OutputSpec:
    spec = planned_artifact(source.name, source, installed()).spec
    if task not in (None, spec.task):
        raise PupilaError(
            f"{str(source)!r} is an artifact, whose record says that it has learned {spec.task}: "
            f"leave --task out."
        )
    if classes not in (None, spec.classes) or output not in (None, spec.kind):
        raise PupilaError(
            f"{str(source)!r} is an artifact, whose record says {spec.kind} of "
            f"{list_names(spec.classes)}: leave --classes and --output out."
        )
    return spec
