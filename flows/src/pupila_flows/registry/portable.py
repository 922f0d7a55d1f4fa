"""Removes this machine's folders from results and reports before they are published."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from markupsafe import escape

from pupila_flows.results import RunResult

_UNCHANGED = ("recipe_text", "record")
"""Fields left as they are: the manifest holds the recipe verbatim, a digest covers the record."""
_ENDS = r"\s/'\"`“”‘’<>|,;:()\[\]"
_ABSOLUTE = re.compile(rf"(?<![^{_ENDS}])(?<!/)((?:/[^{_ENDS}]+)+)/(?=[^{_ENDS}])")
"""Matches the folder of an absolute path in a text; not within a URL or another path."""
_LINK_ELSEWHERE = re.compile(r'<a href="[^"#][^"]*">(.*?)</a>', re.DOTALL)
_START = re.compile(r"(?:file://|(?<![\w./~-]))(?=/)")
"""Matches a position in a text where an absolute path may begin."""


def folders_of(result: RunResult, folder: Path) -> tuple[str, ...]:
    """Return every folder to remove from the paths in a result, inner folders first.

    `folder` is the folder of the run.

    Paths below the folder of the data, the recipe or the workspace become relative to that folder.
    Of other paths, such as images listed in a manifest, only the file names remain.
    """
    data, recipe, run = Path(result.data.path), Path(result.recipe_path), folder.resolve()
    roots = _sorted(map(str, [data, data.parent, recipe.parent, run, *run.parents[:3]]))
    left = _without(result, roots)
    paths = [*_listed(left), left.data.path, left.recipe_path]
    elsewhere = [str(Path(path).parent) for path in paths]
    in_texts = [
        match[1] for text in _texts(left.model_dump()) for match in _ABSOLUTE.finditer(text)
    ]
    return (*roots, *_sorted([*elsewhere, *in_texts]))


def portable_result(result: RunResult, folders: Sequence[str]) -> RunResult:
    """Return the result with each path made relative to the innermost of `folders` around it."""
    return _without(result, folders)


def portable_page(page: str, folders: Sequence[str]) -> str:
    """Remove `folders` from the paths in an HTML page.

    Paths may be plain, shell-quoted or part of a URL. Links to other pages, such as Data Docs,
    become plain text, because those pages are not published.
    """
    page = _LINK_ELSEWHERE.sub(r"\1", page)
    forms = {
        str(form)
        for folder in folders
        for spelling in _spellings(folder)
        for form in (spelling, escape(spelling))
    }
    return _Folders(forms).cut(page)


def _spellings(folder: str) -> Iterator[str]:
    """Yield a folder as a page may write it: plain, shell-quoted, and as in a URL."""
    yield folder
    yield folder.replace("'", "'\"'\"'")  # as `shlex.quote` does between its own quotes
    yield Path(folder).as_uri().removeprefix("file://")


def _without(result: RunResult, folders: Sequence[str]) -> RunResult:
    known = _Folders(folders)

    def relative(value: Any) -> Any:
        if isinstance(value, str):
            return known.cut(value)
        if isinstance(value, list):
            return [relative(item) for item in cast("list[Any]", value)]
        if isinstance(value, dict):
            fields = cast("dict[str, Any]", value)
            return {
                key: field if key in _UNCHANGED else relative(field)
                for key, field in fields.items()
            }
        return value

    return RunResult.model_validate(relative(result.model_dump(mode="json")))


def _listed(result: RunResult) -> Iterator[str]:
    """Yield the paths in the fields of a result that hold one path; these may contain spaces."""
    yield from result.test_images
    for check in result.data.checks:
        yield from check.images
    for verdict in result.gate.artifacts if result.gate else ():
        for finding in verdict.findings:
            yield from (image.path for image in finding.images)
    for entry in result.entries:
        if entry.evaluation:
            yield entry.evaluation.probabilities
            yield from filter(None, [entry.evaluation.validation_probabilities])
        for external in entry.external:
            if external.evaluation:
                yield external.evaluation.probabilities
                yield from (image.path for image in external.evaluation.disagreements)
    for images in result.external:
        yield images.path
        yield from (image.path for image in images.skipped)
    if result.data.data_docs:
        yield result.data.data_docs


def _texts(value: Any) -> Iterator[str]:
    """Yield every string in a dumped result, except in fields that are published verbatim."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in cast("dict[str, Any]", value).items():
            if key not in _UNCHANGED:
                yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in cast("Sequence[Any]", value):
            yield from _texts(item)


def _sorted(folders: Iterable[str]) -> tuple[str, ...]:
    """Return only the absolute folders, without the root `/`, inner folders first."""
    absolute = {
        folder for folder in folders if Path(folder).is_absolute() and len(Path(folder).parts) > 1
    }
    return tuple(sorted(absolute, key=lambda folder: (-len(folder), folder)))


class _Folders:
    """Removes known folders from the start of paths in a text.

    If known folders are nested, everything up to the innermost is removed. There may be thousands
    of folders, such as one per patient, so a regular expression of all folders would be slow.
    """

    def __init__(self, folders: Iterable[str]) -> None:
        self._known = frozenset(folders)
        self._longest = max(map(len, self._known), default=0)

    def cut(self, text: str) -> str:
        """Return a text with the known folders removed from its paths."""
        parts: list[str] = []
        done = 0
        for match in _START.finditer(text):
            end = self._end(text, match.end())
            if end and match.start() >= done:
                parts.append(text[done : match.start()])
                done = end
        return "".join([*parts, text[done:]])

    def _end(self, text: str, start: int) -> int | None:
        """Return where the known folder ends in the path at `start`; None if the path has none."""
        end, slash = None, start
        while (slash := text.find("/", slash + 1, start + self._longest + 1)) > 0:
            if text[start:slash] in self._known:
                end = slash + 1
        return end
