"""What is published names no folder of the machine that made it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from markupsafe import escape

from pupila_flows.results import RunResult

_AS_IT_IS = ("recipe_text", "record")
"""The manifest holds the one to the letter, a digest covers the other."""
_ENDS = r"\s/'\"`“”‘’<>|,;:()\[\]"
_ABSOLUTE = re.compile(rf"(?<![^{_ENDS}])(?<!/)((?:/[^{_ENDS}]+)+)/(?=[^{_ENDS}])")
"""A path amid a text, up to its last part; no part of a URL or of another path."""
_LINK_ELSEWHERE = re.compile(r'<a href="[^"#][^"]*">(.*?)</a>', re.DOTALL)
_START = re.compile(r"(?:file://|(?<![\w./~-]))(?=/)")
"""Where an absolute path may begin."""


def folders_of(result: RunResult, folder: Path) -> tuple[str, ...]:
    """Return every folder that a run in `folder` names, those inside others first.

    Paths below that of the data, the recipe or the workspace keep what is below it. Whatever lies
    elsewhere, as images that a manifest lists may, keeps its name alone.
    """
    data, recipe, run = Path(result.data.path), Path(result.recipe_path), folder.resolve()
    roots = _sorted(map(str, [data, data.parent, recipe.parent, run, *run.parents[:3]]))
    left = _without(result, roots)
    paths = [*_listed(left), left.data.path, left.recipe_path]
    elsewhere = [str(Path(path).parent) for path in paths]
    amid = [match[1] for text in _texts(left.model_dump()) for match in _ABSOLUTE.finditer(text)]
    return (*roots, *_sorted([*elsewhere, *amid]))


def portable_result(result: RunResult, folders: Sequence[str]) -> RunResult:
    """Return a result in which paths are relative to the one of `folders` that they lie in."""
    return _without(result, folders)


def portable_page(page: str, folders: Sequence[str]) -> str:
    """Return a page of HTML without `folders`: as text, quoted for a shell, or as an address.

    Links to other pages, such as Data Docs, become text: those are not published.
    """
    page = _LINK_ELSEWHERE.sub(r"\1", page)
    forms = {str(form) for each in folders for way in _written(each) for form in (way, escape(way))}
    return _Folders(forms).cut(page)


def _written(folder: str) -> Iterator[str]:
    """Yield the ways in which a page may write a folder."""
    yield folder
    yield folder.replace("'", "'\"'\"'")  # as `shlex.quote` does between its own quotes
    yield Path(folder).as_uri().removeprefix("file://")


def _without(result: RunResult, folders: Sequence[str]) -> RunResult:
    known = _Folders(folders)

    def relative(value: Any) -> Any:
        if isinstance(value, str):
            return known.cut(value)
        if isinstance(value, list):
            return [relative(each) for each in cast("list[Any]", value)]
        if isinstance(value, dict):
            named = cast("dict[str, Any]", value)
            return {
                key: each if key in _AS_IT_IS else relative(each) for key, each in named.items()
            }
        return value

    return RunResult.model_validate(relative(result.model_dump(mode="json")))


def _listed(result: RunResult) -> Iterator[str]:
    """Yield the paths of files that a result names by themselves; they may hold spaces."""
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
        for elsewhere in entry.external:
            if elsewhere.evaluation:
                yield elsewhere.evaluation.probabilities
                yield from (image.path for image in elsewhere.evaluation.parted)
    for images in result.external:
        yield images.path
        yield from (image.path for image in images.skipped)
    if result.data.data_docs:
        yield result.data.data_docs


def _texts(value: Any) -> Iterator[str]:
    """Yield every text in a dumped result that is not published to the letter."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, each in cast("dict[str, Any]", value).items():
            if key not in _AS_IT_IS:
                yield from _texts(each)
    elif isinstance(value, list | tuple):
        for each in cast("Sequence[Any]", value):
            yield from _texts(each)


def _sorted(folders: Iterable[str]) -> tuple[str, ...]:
    """Return absolute folders other than the root, those inside others first."""
    absolute = {each for each in folders if Path(each).is_absolute() and len(Path(each).parts) > 1}
    return tuple(sorted(absolute, key=lambda each: (-len(each), each)))


class _Folders:
    """Folders to be cut off the paths in a text; of those inside each other, the innermost.

    They may be thousands, where each patient has one: a pattern of them all would be slow.
    """

    def __init__(self, folders: Iterable[str]) -> None:
        self._known = frozenset(folders)
        self._longest = max(map(len, self._known), default=0)

    def cut(self, text: str) -> str:
        """Return a text without these folders."""
        parts: list[str] = []
        done = 0
        for match in _START.finditer(text):
            end = self._end(text, match.end())
            if end and match.start() >= done:
                parts.append(text[done : match.start()])
                done = end
        return "".join([*parts, text[done:]])

    def _end(self, text: str, start: int) -> int | None:
        """Return where the path that begins at `start` leaves these folders; None in none."""
        end, slash = None, start
        while (slash := text.find("/", slash + 1, start + self._longest + 1)) > 0:
            if text[start:slash] in self._known:
                end = slash + 1
        return end
