"""A workspace whose every text is hostile: names of classes, models and files, recipes, reasons."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from pictures import picture
from publishable_runs import gate_of
from pydantic import BaseModel
from sample_runs import CONTROL, PUPIL, VGG, Node, sample_run
from sample_sweeps import sample_sweep, sweep_nodes
from search_records import record
from spoilt_clinics import BOUNDS, Clinic, truncate

from pupila_flows.data.validation import validate
from pupila_flows.recipe.publish import PublishSection
from pupila_flows.registry.card import card_page, write_card
from pupila_flows.registry.manifest import Override
from pupila_flows.report.page import write_report
from pupila_flows.report.sweep import write_sweep
from pupila_flows.results import Publication, RunResult

HOSTILE = (
    '</title></textarea><script>window.ran="script"</script>'
    '"><img src=http://pictures.invalid/x.png onerror="window.ran=1">'
    "'><svg/onload=window.ran=2>"
    "![x](http://pictures.invalid/y.png)[go](javascript:window.ran=3)"
    "<style>@import 'http://pictures.invalid/z.css';*{display:none}</style>"
    '<base href="http://pictures.invalid/"><form action="http://pictures.invalid/"><button>'
    "<a href=javascript:window.ran=4>go</a><!-- {{ 7 * 7 }} ${x} \u202e"
)
LINK = "javascript:window.ran=5"
_OURS = frozenset(
    {
        *("kind", "verdict", "severity", "outcome", "condition", "artifact", "record", "format"),
        *("probabilities", "validation_probabilities", "fingerprint", "started", "test", "method"),
        *("test_images", "registry", "head", "sweep", "settings", "timings", "task"),
    }
)
"""Fields that a run fills by itself, or looks up."""
_SPLITS = frozenset({"train", "validation", "test"})


def poisoned(value: Any) -> Any:
    """Return a value in which whatever others may write is hostile, keys too, each in one way."""
    if isinstance(value, BaseModel):
        fields = [name for name in type(value).model_fields if name not in _OURS]
        return value.model_copy(update={name: poisoned(getattr(value, name)) for name in fields})
    if isinstance(value, str):
        return value if value in _SPLITS else f"{value} {HOSTILE}"
    if isinstance(value, list):
        return [poisoned(item) for item in cast("list[Any]", value)]
    if isinstance(value, tuple):
        return tuple(poisoned(item) for item in cast("tuple[Any, ...]", value))
    if isinstance(value, dict):
        named = cast("dict[str, Any]", value)
        return {poisoned(key): poisoned(item) for key, item in named.items()}
    return value


def _searched() -> dict[str, Any]:
    """Return what a search notes whose candidates have hostile names."""

    def renamed(value: Any, key: str = "") -> Any:
        if isinstance(value, str):
            return value if key in ("kind", "change", "use", "setting") else poisoned(value)
        if isinstance(value, list):
            return [renamed(item, key) for item in cast("list[Any]", value)]
        if isinstance(value, dict):
            return {
                name: renamed(item, name) for name, item in cast("dict[str, Any]", value).items()
            }
        return value

    return renamed(record(12))


def _with_hostile_text(result: RunResult, docs: Path) -> RunResult:
    changed: RunResult = poisoned(result)
    data = changed.data.model_copy(update={"data_docs": str(docs)})
    recipe = f"name: x\n# {HOSTILE}\npublish: {{}}\n"
    return changed.model_copy(update={"data": data, "recipe_text": recipe})


def hostile_run(folder: Path, docs: Path) -> RunResult:
    """Return a run with a gate, a search, pictures and failures."""
    folder.mkdir(parents=True)
    pictures = [
        picture(folder / f"{HOSTILE.replace('/', '∕')[:60]} {number}.png", (90, 60, 30), number)
        for number in range(6)
    ]
    nodes = [
        VGG,
        replace(PUPIL, inputs=("vgg16",), measured={"warning": HOSTILE}),
        replace(CONTROL, error="It failed."),
        Node("search", "search", ("vgg16",), 0.4, measured=_searched()),
    ]
    gate = gate_of("fail", entry="pupil", images=tuple(map(str, pictures[:2])))
    gate = gate.model_copy(
        update={"untraced": ("vgg16",), "best": "pupil", "published": "version 2"}
    )
    publication = Publication(
        registry="r", name="clinic", outcome="withheld", version=None, reason="It failed."
    )
    result = sample_run(folder, nodes, images=pictures, gate=gate, publication=publication)
    return _with_hostile_text(result, docs)


def write_workspace(root: Path) -> dict[str, Path]:
    """Write a page of each kind into a workspace, and return them by kind."""
    runs, docs = root / "runs", root / "data-docs" / "0123456789abcdef"
    clinic = Clinic(_new(root / "images"))
    truncate(clinic)
    frame = clinic.scan()
    frame["label"] = frame["label"].astype(str).replace("well", HOSTILE)
    frame["path"] = [f"{HOSTILE}/{path}" for path in frame["path"]]
    frame.loc[frame.index[-1], "label"] = f"unknown {HOSTILE}"
    _, index = validate(frame, ("ill", HOSTILE), "ill", BOUNDS, docs, HOSTILE)
    folder = runs / "eyes" / "20261128T020000Z"
    result = hostile_run(folder, docs / "index.html")
    swept = _new(runs / "grid" / "20261128T020000Z")
    sweep = _with_hostile_text(sample_sweep(swept, sweep_nodes((7,))), docs / "index.html")
    pages = {"report": write_report(result, folder), "sweep": write_sweep(sweep, swept)}
    pages |= {"plot": swept / "sweep.svg", "card": _card(root, result), "data docs": index}
    details = min(docs.glob("validations/*/**/*.html"))
    return pages | {"details": details}


def _card(root: Path, result: RunResult) -> Path:
    stated = (f"{HOSTILE}\n\n* [go]({LINK})\n* <{LINK}>\n\n[x]: {LINK}\n[x]\n" for _ in range(4))
    section = PublishSection(
        **dict(zip(("intended_use", "out_of_scope", "limits", "licence"), stated, strict=True))
    )
    override = Override(version=1, by=HOSTILE, gate="fail", reason=HOSTILE, at="now")
    artifacts = {entry.name: HOSTILE for entry in result.entries}
    card = write_card(HOSTILE, 1, result, section, {}, artifacts, [override])
    page = _new(root / "registry" / "eyes" / "versions" / "000001") / "card.html"
    page.write_text(card_page(card, HOSTILE))
    return page


def _new(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder
