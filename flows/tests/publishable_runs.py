"""Runs that can be published: their artifacts lie in a store, each made from the one before."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from fsspec.implementations.memory import MemoryFileSystem  # pyright: ignore - has no types
from sample_runs import BINARY, PUPIL, VGG, Node, sample_run

from pupila.artifact import Artifact, Origin
from pupila.digest import digest_json
from pupila.spec import InputSpec, OutputSpec
from pupila.store import Store, write_atomically
from pupila_flows.recipe.publish import PublishSection
from pupila_flows.registry import Registry, Version, open_registry
from pupila_flows.registry.publishing import Release, publish
from pupila_flows.registry.release import release_of
from pupila_flows.registry.storage import RemoteStorage
from pupila_flows.results import (
    ArtifactVerdict,
    Entry,
    Finding,
    GateResult,
    RunResult,
    Verdict,
    WrongImage,
)
from pupila_flows.workspace import Workspace

INT8 = Node("int8", "quantize-int8", ("pupil",), 0.3, "tflite", 361_416, 1.7)
NODES = [VGG, replace(PUPIL, inputs=("vgg16",), control=None), INT8]
Images = tuple[str, ...]
RECIPE = "name: clinic\npublish:\n  to: {to}\n  licence: CC-BY-4.0\n"


def gate_of(
    verdict: Verdict, published: Version | None = None, entry: str = "int8", images: Images = ()
) -> GateResult:
    """Return what a gate says that asked one thing."""
    finding = Finding(
        condition="accuracy",
        against="vgg16",
        verdict=verdict,
        value=0.93,
        other=0.94,
        limit=0.03,
        images=tuple(
            WrongImage(path=path, truth="normal", answer="glaucoma", other="normal")
            for path in images
        ),
        text="accuracy is 1.0 points below that of vgg16, and 3 are allowed",
    )
    verdicts = (ArtifactVerdict(entry=entry, verdict=verdict, findings=(finding,)),)
    return GateResult(
        verdict=verdict,
        artifacts=verdicts,
        published=published.title if published else None,
        published_manifest=published.sha256 if published else None,
    )


def publishable_run(
    folder: Path,
    weights: bytes = b"first",
    *,
    to: str = "registry",
    verdict: Verdict | None = "pass",
    published: Version | None = None,
) -> Path:
    """Write a run into the workspace `folder/.pupila`, and return the run's folder.

    `weights` are the bytes of its int8 model; `published` is what its gate compared with.
    """
    workspace = Workspace.at(folder / ".pupila")
    compared = published.sha256 if published else None
    run = workspace.runs / "clinic" / digest_json([weights.hex(), compared])[:16]
    run.mkdir(parents=True, exist_ok=True)
    sample = _sample()
    made: dict[str, Artifact] = {}
    entries: list[Entry] = []
    for entry in sample.entries:
        content = weights if entry.name == "int8" else entry.name.encode()
        inputs = tuple(made[name].digest for name in entry.inputs)
        made[entry.name] = artifact = _stored(workspace.store, entry, content, inputs)
        entries.append(_made(entry, artifact, workspace))
    changes = {
        "name": "clinic",
        "recipe_path": str(folder / "recipe.yaml"),
        "recipe_text": RECIPE.format(to=to) + ("gate: {}\n" if verdict else ""),
        "entries": tuple(entries),
        "gate": gate_of(verdict, published) if verdict else None,
    }
    result = sample.model_copy(update=changes)
    write_atomically(run / "result.json", result.model_dump_json(indent=2).encode())
    (run / "report.html").write_text("<!doctype html><title>report</title>")
    return run


@cache
def _sample() -> RunResult:
    with TemporaryDirectory() as folder:
        return sample_run(Path(folder), NODES)


def _made(entry: Entry, artifact: Artifact, workspace: Workspace) -> Entry:
    assert entry.evaluation
    kept = str(workspace.cache / "predictions" / f"{artifact.digest}.npy")
    evaluation = entry.evaluation.model_copy(update={"probabilities": kept})
    changes = {"artifact": artifact.digest, "record": artifact.record, "evaluation": evaluation}
    return entry.model_copy(update=changes)


def _stored(store: Store, entry: Entry, content: bytes, inputs: tuple[str, ...]) -> Artifact:
    teacher = entry.kind == "teacher"
    with store.draft() as draft:
        (draft / "model.tflite").write_bytes(content)
        (draft / "labels").mkdir()
        (draft / "labels" / "en.txt").write_text("\n".join(BINARY))
        return store.add(
            draft,
            format="tflite",
            input=InputSpec(height=224, width=224),
            output=OutputSpec(kind="softmax", classes=BINARY),
            origin=Origin(
                plugin=entry.uses,
                distribution="pupila-test",
                version="1",
                inputs=inputs,
                source=digest_json(entry.name) if teacher else None,
            ),
        )


def read_run(run: Path) -> RunResult:
    """Return the result in a run's folder."""
    return RunResult.model_validate_json((run / "result.json").read_text())


def release(
    folder: Path,
    weights: bytes = b"first",
    *,
    published: Version | None = None,
    verdict: Verdict | None = "pass",
    override: tuple[str, str] | None = None,
    section: PublishSection | None = None,
) -> Release:
    """Return what is to be published of such a run."""
    run = publishable_run(folder, weights, verdict=verdict, published=published)
    chosen = section or PublishSection(artifacts=("int8",))
    store = Workspace.at(folder / ".pupila").store
    return release_of(read_run(run), run, chosen, store, override)


def empty_registry(storage: str, folder: Path) -> Registry:
    """Open a registry: in a `folder`, or in `memory`, which writes as object stores do."""
    if storage == "folder":
        return open_registry(str(folder / "registry"))
    root = f"/{uuid4().hex}/models"
    return Registry(RemoteStorage(f"memory:/{root}", MemoryFileSystem(), root))


def with_three_versions(registry: Registry, folder: Path) -> Registry:
    """Publish three versions of `clinic` there, of runs in a folder."""
    for number, weights in enumerate((b"first", b"second", b"third")):
        before = registry.current("clinic")
        assert publish(registry, release(folder, weights, published=before)).version == number + 1
    return registry


def published_text(registry: Registry, number: int, file: str) -> str:
    """Return what a file of that version of `clinic` says."""
    content = registry.storage.read(f"clinic/versions/{number:06d}/{file}")
    assert content is not None
    return content.decode()
