"""Adds a teacher to the teacher store. The teacher becomes current only if a loader reads it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

from pydantic import ValidationError

from pupila.digest import digest_tree
from pupila.errors import PupilaError, list_names, nearest
from pupila.plugin_registry import installed
from pupila.spec import OutputKind, OutputSpec
from pupila.store import is_artifact
from pupila_flows.data.reading import read_data
from pupila_flows.data.training_images import TrainingImages
from pupila_flows.execution.session import perform, session
from pupila_flows.jobs.import_teacher import ImportTeacher
from pupila_flows.plan.plan import PlannedTeacher, planned_artifact
from pupila_flows.recipe.errors import sentence
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
) -> AddedTeacher:
    """Add a model to the teacher store, as the version that later runs get for `teacher:NAME`.

    `classes` and `output` describe a model file; an artifact has both in its record. If one of them
    is None, its value is taken from the teacher's current version. If the same model was added
    before, the version that was made then becomes current again. `trained_on` is a folder or a CSV
    of the images that the teacher was trained on; images of the split `test` are left out.

    Raises:
        PupilaError: the model is missing, no loader reads it, or its classes are not known.
        ChildFailed: the loader crashed.
    """
    if not source.exists():
        raise PupilaError(f"No model at {str(source)!r}: give the path of an existing file.")
    images = trained_on and TrainingImages.of(read_data(trained_on, None, workspace.cache))
    teacher_store = TeacherStore.of(workspace.root)
    with teacher_store.locked(name):
        known = teacher_store.versions(name)
        current = teacher_store.current(name) if name in teacher_store.names() else None
        spec = _spec(source, current, classes, output)
        identity = digest_tree(source), spec
        same = [
            version for version in known if (version.record.sha256, version.record.spec) == identity
        ]
        unchanged = current is not None and current in same
        teacher = (
            current
            if current and unchanged
            else same[-1]
            if same
            else _add(workspace, teacher_store, name, source, spec)
        )
        if images:
            images.write(teacher.folder)
        if not unchanged:
            teacher_store.make_current(teacher)
    return AddedTeacher(teacher, changed=not unchanged)


def _add(
    workspace: Workspace, teacher_store: TeacherStore, name: str, source: Path, spec: OutputSpec
) -> StoredTeacher:
    with teacher_store.draft(name, source) as copy:
        try:
            _import(workspace, name, copy, spec)
        except PupilaError as error:  # it speaks of the copy, which the user has never seen
            raise PupilaError(str(error).replace(str(copy), str(source))) from None
        record = TeacherRecord(
            source=source.name,
            sha256=digest_tree(copy),
            added=datetime.now(UTC).isoformat(timespec="seconds"),
            output=spec.kind,
            classes=spec.classes,
        )
        return teacher_store.seal(name, copy, record)


def _import(workspace: Workspace, name: str, copy: Path, spec: OutputSpec) -> None:
    """Import a model in the same way as a run, so that runs can reuse the result."""
    registry = installed()
    planned = (
        planned_artifact(name, copy, registry)
        if is_artifact(copy)
        else PlannedTeacher(name, copy, registry.loader(copy).produces, spec)
    )
    with session(workspace, workers=1):
        perform(ImportTeacher.of(workspace, planned))


def _spec(
    source: Path,
    current: StoredTeacher | None,
    classes: tuple[str, ...] | None,
    output: str | None,
) -> OutputSpec:
    """Return the model's output spec, from its record, the arguments or the current version."""
    if is_artifact(source):
        return _recorded_spec(source, classes, output)
    kinds = get_args(OutputKind)
    if output not in (None, *kinds):
        raise PupilaError(
            f"output is {output!r}: give one of {', '.join(kinds)}.{nearest(str(output), kinds)}"
        )
    names = classes or (current.record.classes if current else None)
    if names is None:
        raise PupilaError(
            f"The classes of {str(source)!r} are not known: name that of each output column with "
            "--classes, as in `--classes glaucoma,normal`."
        )
    kind = output or (current.record.output if current else "softmax")
    try:
        return OutputSpec.model_validate({"kind": kind, "classes": names})
    except ValidationError as error:
        reason = sentence(error.errors()[0])
        raise PupilaError(f"The classes {list_names(names)} cannot be so: {reason}.") from None


def _recorded_spec(source: Path, classes: tuple[str, ...] | None, output: str | None) -> OutputSpec:
    spec = planned_artifact(source.name, source, installed()).spec
    if classes not in (None, spec.classes) or output not in (None, spec.kind):
        raise PupilaError(
            f"{str(source)!r} is an artifact, whose record says {spec.kind} of "
            f"{list_names(spec.classes)}: leave --classes and --output out."
        )
    return spec
