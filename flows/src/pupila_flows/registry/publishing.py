"""Publishes a release: writes all files of a new version, and only then makes it current."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from pupila.artifact import Artifact
from pupila_flows.recipe.publish import PublishSection
from pupila_flows.registry import card, provenance
from pupila_flows.registry.events import Event, append, digest_of, now, user_and_host, withdrawn
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
    """What to publish: a name, the run, and the artifacts selected from it."""

    name: str
    result: RunResult
    folder: Path
    """The run's folder, with `report.html`."""
    section: PublishSection
    artifacts: Mapping[str, Artifact]
    override: tuple[str, str] | None = None
    """Name and reason of a person who publishes regardless of the gate; None without override."""

    @property
    def digests(self) -> dict[str, str]:
        return {entry: artifact.digest for entry, artifact in self.artifacts.items()}


def publish(registry: Registry, release: Release) -> Publication:
    """Publish a release as a new version, and return the outcome.

    Nothing is published if the current version has the same artifacts, or if the release must not
    be published. Of several concurrent publishers, one wins. The others stop, because the version
    that their gate compared with is no longer current. If a publisher is killed, readers see
    nothing of its version.

    Raises:
        PupilaError: the registry cannot be read or written.
    """
    written: Version | None = None
    registry.check_log(release.name)
    while True:
        events = registry.events(release.name)
        current = registry.version(release.name, events[-1].version) if events else None
        outcome = _outcome(registry, release, current, events, written)
        if outcome:
            return outcome
        if written is None:
            written = _write(registry, release, events)
            continue  # that took time: check again what is current
        event = _event(release, written, current, events)
        added = append(registry.storage, release.name, event)
        if added:
            registry.update_pointer(release.name)
            return _published(registry, release, written, current, digest_of(added))


def settled(registry: Registry, release: Release) -> Publication | None:
    """Return the outcome of publishing a release again; None if a new version would be written.

    Nothing is written.

    Raises:
        PupilaError: the registry cannot be read.
    """
    registry.check_log(release.name)
    events = registry.events(release.name)
    current = registry.version(release.name, events[-1].version) if events else None
    return _outcome(registry, release, current, events, None)


def _outcome(
    registry: Registry,
    release: Release,
    current: Version | None,
    events: Sequence[Event],
    written: Version | None,
) -> Publication | None:
    """Return the outcome if the release is not to be published; None if it is to be published."""
    target = {"registry": registry.storage.url, "name": release.name}
    left = f" Its files are kept as version {written.number}." if written else ""
    if current and current.artifacts == release.digests:
        reason = f"Version {current.number} is current and has the same artifacts."
        return Publication(
            **target, outcome="unchanged", version=current.number, reason=f"{reason}{left}"
        )
    reason = None if release.override else _objection(registry, release, current, events)
    if reason is None:
        return None
    return Publication(**target, outcome="withheld", version=None, reason=f"{reason}{left}")


def _objection(
    registry: Registry, release: Release, current: Version | None, events: Sequence[Event]
) -> str | None:
    """Return why a release that passed its gate must still not become current."""
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
                f"Nothing is published: version {number} had the same "
                f"{formatting.listed(again)}, and {rollback.by} rolled back from it "
                f"({rollback.reason}). If that reason no longer holds, publish with --override."
            )
    return None


def _compared(release: Release, current: Version | None) -> str:
    """Name the version that the gate compared with, which may be from another registry."""
    title = release.result.gate.published if release.result.gate else None
    if title and current and title == current.title:
        return f"another {title} than is current here"
    return title or "nothing"


def _withdrawn_again(left: Version | None, release: Release, current: Version | None) -> list[str]:
    """Return the entries whose artifacts are in the version `left`, but not in the current one."""
    fine = set(current.artifacts.values()) if current else set[str]()
    gone = (set(left.artifacts.values()) if left else set[str]()) - fine
    return [entry for entry, digest in release.digests.items() if digest in gone]


def _write(registry: Registry, release: Release, events: Sequence[Event]) -> Version:
    """Write all files of a new version, which is not current yet."""
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
            by=user_and_host(),
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
        storage.publish(draft, folder_of(name, number), last=MANIFEST)
    return read_version(content, registry.storage.url)


def _gather(release: Release, result: RunResult, folders: Sequence[str], draft: Path) -> None:
    """Copy artifacts, result, recipe and report into `draft`; cut `folders` from paths in them."""
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
    """Reserve a unique version number; a killed publisher's number is never reused."""
    taken = (file.partition(".")[0] for file in storage.children(f"{name}/numbers"))
    number = max((int(number) for number in taken if number.isdecimal()), default=0) + 1
    content = f'{{"by": "{user_and_host()}", "at": "{now()}", "id": "{uuid4()}"}}\n'.encode()
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
    by, reason = release.override or (user_and_host(), "It passed the gate.")
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
