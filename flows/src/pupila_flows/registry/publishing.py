"""Publishing: a version is written as a whole, and only then made current."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from pupila.artifact import Artifact
from pupila_flows.recipe.publish import PublishSection
from pupila_flows.registry import card, provenance
from pupila_flows.registry.events import Event, append, digest_of, now, whoever, withdrawn
from pupila_flows.registry.manifest import (
    ARTIFACTS,
    CARD,
    CARD_PAGE,
    MANIFEST,
    RECIPE,
    REPORT,
    RESULT,
    Manifest,
    Override,
)
from pupila_flows.registry.portable import folders_of, portable_page, portable_result
from pupila_flows.registry.storage import Storage
from pupila_flows.registry.versions import Registry, Version, folder_of, read_version
from pupila_flows.report import formatting
from pupila_flows.results import Publication, RunResult


@dataclass(frozen=True)
class Release:
    """A run, and those of its artifacts that are to be published."""

    name: str
    result: RunResult
    folder: Path
    """Of the run: `report.html` is taken from there."""
    section: PublishSection
    artifacts: Mapping[str, Artifact]
    override: tuple[str, str] | None = None
    """Who publishes it whatever the gate said, and why."""

    @property
    def digests(self) -> dict[str, str]:
        return {entry: artifact.digest for entry, artifact in self.artifacts.items()}


def publish(registry: Registry, release: Release) -> Publication:
    """Publish a release as a new version, unless what it holds is current or must not be.

    Of several publishers at once one wins: the others see that what their gate compared with is
    current no more, and stand back. A killed one leaves nothing that a reader sees.

    Raises:
        PupilaError: the registry cannot be read or written.
    """
    written: Version | None = None
    registry.demand_sound(release.name)
    while True:
        events = registry.events(release.name)
        current = registry.version(release.name, events[-1].version) if events else None
        settled = _settled(registry, release, current, events, written)
        if settled:
            return settled
        if written is None:
            written = _write(registry, release, events)
            continue  # that took long: what happened meanwhile is looked at
        event = _event(release, written, current, events)
        added = append(registry.storage, release.name, event)
        if added:
            registry.point(release.name)
            return _published(registry, release, written, current, digest_of(added))


def _settled(
    registry: Registry,
    release: Release,
    current: Version | None,
    events: Sequence[Event],
    written: Version | None,
) -> Publication | None:
    """Say what comes of a release without another move of the pointer; None where it is to move."""
    place = {"registry": registry.storage.url, "name": release.name}
    left = f" Its files are kept as version {written.number}." if written else ""
    if current and current.artifacts == release.digests:
        reason = f"Version {current.number} is current and holds these very artifacts already."
        return Publication(
            **place, outcome="unchanged", version=current.number, reason=f"{reason}{left}"
        )
    reason = None if release.override else _objection(registry, release, current, events)
    if reason is None:
        return None
    return Publication(**place, outcome="withheld", version=None, reason=f"{reason}{left}")


def _objection(
    registry: Registry, release: Release, current: Version | None, events: Sequence[Event]
) -> str | None:
    """Say why a release that passed its gate must not become current all the same."""
    compared = release.result.gate.published_manifest if release.result.gate else None
    if compared != (current.sha256 if current else None):
        return (
            f"Nothing is published: the gate compared with {_compared(release, current)}, and "
            f"{current.title if current else 'nothing'} is current now: run the recipe again."
        )
    for number, rollback in withdrawn(events).items():
        again = _withdrawn_again(registry.find(release.name, number), release, current)
        if again:
            return (
                f"Nothing is published: version {number} held this very "
                f"{formatting.listed(again)}, and {rollback.by} rolled back from it "
                f"({rollback.reason}). Publish the run with --override if that is over."
            )
    return None


def _compared(release: Release, current: Version | None) -> str:
    """Say what the gate compared with; two registries may each have a version 2."""
    title = release.result.gate.published if release.result.gate else None
    if title and current and title == current.title:
        return f"another {title} than is current here"
    return title or "nothing"


def _withdrawn_again(left: Version | None, release: Release, current: Version | None) -> list[str]:
    """Return the entries of a release that a version held which was left, and none now current."""
    fine = set(current.artifacts.values()) if current else set[str]()
    gone = (set(left.artifacts.values()) if left else set[str]()) - fine
    return [entry for entry, digest in release.digests.items() if digest in gone]


def _write(registry: Registry, release: Release, events: Sequence[Event]) -> Version:
    """Write all files of a new version; nothing points at it yet."""
    storage, name = registry.storage, release.name
    folders = folders_of(release.result, release.folder)
    result = portable_result(release.result, folders)
    with storage.draft(f"{name}/staging") as draft:
        _gather(release, result, folders, draft)
        number = _claim(storage, name)
        overrides = [event.override for event in events if event.override]
        if release.override:
            overrides.append(_override(release, number, *release.override))
        chain = provenance.chain_of(result, release.digests)
        text = card.write_card(
            name, number, result, release.section, chain, release.digests, overrides
        )
        (draft / CARD).write_text(text)
        (draft / CARD_PAGE).write_text(card.card_page(text, f"{name}, version {number}"))
        manifest = Manifest(
            name=name,
            version=number,
            published=now(),
            by=whoever(),
            artifacts=release.digests,
            run=provenance.run_facts(result),
            data=provenance.data_facts(result),
            gate=result.gate,
            overrides=tuple(overrides),
            chain=chain,
            files=provenance.files_of(draft),
        )
        content = manifest.model_dump_json(indent=2).encode()
        (draft / MANIFEST).write_bytes(content)
        storage.place(draft, folder_of(name, number), last=MANIFEST)
    return read_version(content, registry.storage.url)


def _gather(release: Release, result: RunResult, folders: Sequence[str], draft: Path) -> None:
    """Copy what a run made into an empty folder, without the `folders` of this machine."""
    for entry, artifact in release.artifacts.items():
        for name in artifact.contents:
            copy = draft / ARTIFACTS / entry / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(artifact.path / name, copy)
    (draft / RESULT).write_text(result.model_dump_json(indent=2))
    (draft / RECIPE).write_text(result.recipe_text)
    report = release.folder / REPORT
    if report.is_file() and not report.is_symlink():
        (draft / REPORT).write_text(portable_page(report.read_text(), folders))


def _claim(storage: Storage, name: str) -> int:
    """Return a number that no other version has or will have; a killed publisher's is lost."""
    taken = (file.partition(".")[0] for file in storage.children(f"{name}/numbers"))
    number = max((int(each) for each in taken if each.isdecimal()), default=0) + 1
    content = f'{{"by": "{whoever()}", "at": "{now()}", "id": "{uuid4()}"}}\n'.encode()
    while not storage.create(f"{name}/numbers/{number:06d}.json", content):
        number += 1
    return number


def _override(release: Release, number: int, by: str, reason: str) -> Override:
    gate = release.result.gate
    verdict = gate.verdict if gate else "no gate"
    return Override(version=number, by=by, reason=reason, at=now(), gate=verdict)


def _event(
    release: Release, written: Version, current: Version | None, events: Sequence[Event]
) -> Event:
    by, reason = release.override or (whoever(), "It passed the gate.")
    return Event(
        number=events[-1].number + 1 if events else 1,
        kind="publish",
        version=written.number,
        previous=current.number if current else None,
        at=now(),
        by=by,
        reason=reason,
        manifest=written.sha256,
        override=written.manifest.override,
    )


def _published(
    registry: Registry, release: Release, written: Version, before: Version | None, head: str
) -> Publication:
    after = f", after {before.title}" if before else ", the first"
    by = release.override[0] if release.override else None
    why = f"by an override of {by}: {release.override[1]}" if release.override else "as it passed"
    return Publication(
        registry=registry.storage.url,
        name=release.name,
        outcome="published",
        version=written.number,
        reason=f"Version {written.number} is current now{after}, {why}.",
        overridden_by=by,
        head=head,
    )
