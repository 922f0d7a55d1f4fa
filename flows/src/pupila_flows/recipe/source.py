"""Reads the text of a recipe: its value, and the line of each key and item."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import ConstructorError
from yaml.reader import ReaderError

from pupila.errors import PupilaError
from pupila.paths import is_special

Location = tuple[str | int, ...]

_TAGS = "tag:yaml.org,2002:"
_MAX_CHARACTERS = 300_000
"""Maximum length of a recipe with its aliases expanded: about 5,000 steps, checked in seconds."""
_PLAIN_MESSAGES = {
    "found unhashable key": "a list or a mapping stands where a name should",
    "found unconstructable recursive node": "an alias stands inside what it names",
}
"""Plain words for some messages of PyYAML."""


@dataclass(frozen=True)
class Problem:
    """One mistake in a recipe."""

    file: Path
    line: int
    message: str
    location: Location = field(default=(), compare=False)
    """Where the mistake is in the recipe, as far as it is known."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


_LEGIBLE = 100
"""Maximum number of characters of a value that a message shows."""
_SHOWN = 50
"""Maximum number of mistakes that are shown at once."""


class RecipeError(PupilaError):
    """A recipe that cannot run; `problems` holds every mistake found."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = sorted(problems, key=lambda problem: problem.line)
        left = len(self.problems) - _SHOWN
        lines = [*map(str, self.problems[:_SHOWN]), *([f"And {left:,} more."] if left > 0 else [])]
        super().__init__("\n".join(lines))


@dataclass(frozen=True)
class Source:
    """The content of a recipe file: a YAML mapping that is not validated yet."""

    file: Path
    text: str
    value: dict[str, Any]
    lines: dict[Location, int]
    """Line of every key and item."""
    scalars: dict[Location, str]
    """Text of every value that is neither a list nor a mapping, as written."""
    changed: frozenset[Location] = frozenset()
    """Locations of values that were changed for one run."""

    def problem(self, location: Location, message: str) -> Problem:
        """Return a problem with the line of a location.

        If the recipe does not contain the location, the problem has the line of the
        nearest section around that location.
        """
        if self._is_changed(location):
            message += " This run's changes say so, not the file."
        known = location
        while known and known not in self.lines:
            known = known[:-1]
        return Problem(self.file, self.lines.get(known, 1), message, location)

    def _is_changed(self, location: Location) -> bool:
        """Tell whether a location lies in a change, or exists only because of one."""
        new = location not in self.lines
        return any(
            location[: len(change)] == change or (new and change[: len(location)] == location)
            for change in self.changed
        )


def read_source(file: Path) -> Source:
    """Read a recipe file.

    Raises:
        RecipeError: the file is not YAML, not a mapping, or has a key twice in a mapping.
        PupilaError: the file cannot be read, or is not text.
    """
    return parse_source(file, _read(file))


def parse_source(file: Path, text: str) -> Source:
    """Return the content of a recipe whose text is known; `file` is named in messages.

    Raises:
        RecipeError: the text is not YAML, not a mapping, or has a key twice in a mapping.
    """
    source = Source(file, text, {}, {}, {})
    problems: list[Problem] = []
    _parse(source, problems)
    if problems:
        raise RecipeError(problems)
    return source


def _read(file: Path) -> str:
    try:
        if is_special(file):  # it may never end
            raise PupilaError(f"{str(file)!r} is a pipe or a device: give the path of a YAML file.")
        with file.open(encoding="utf-8") as stream:
            text = stream.read(_MAX_CHARACTERS + 1)
    except UnicodeDecodeError:
        raise PupilaError(f"{str(file)!r} is not text: a recipe is a YAML file.") from None
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or str(error)
        raise PupilaError(
            f"No recipe at {str(file)!r} ({reason}): give the path of a YAML file."
        ) from None
    if len(text) > _MAX_CHARACTERS:
        raise PupilaError(
            f"{str(file)!r} has more than {_MAX_CHARACTERS:,} characters, which no recipe has: "
            "give the path of a YAML file with `data` and `steps`."
        )
    return text


class _Loader(yaml.SafeLoader):
    """Reads every key as text, and reports the line of every mistake."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        node = super().compose_node(parent, index)
        is_key = isinstance(parent, yaml.MappingNode) and index is None
        if is_key and isinstance(node, yaml.ScalarNode) and node.tag != f"{_TAGS}merge":
            return yaml.ScalarNode(f"{_TAGS}str", node.value, node.start_mark, node.end_mark)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        del deep  # always: otherwise a value could contain itself
        try:
            # types-PyYAML leaves the node's type open
            return super().construct_object(node, deep=True)  # pyright: ignore[reportUnknownMemberType]
        except (ValueError, LookupError, AttributeError):  # PyYAML's, for `2024-99-99`, `!!bool x`
            kind, value = node.tag.removeprefix(_TAGS), node.value[:_LEGIBLE]
            reason = f"{value!r} is not a valid {kind}; put quotes around it if it is text"
            raise ConstructorError(None, None, reason, node.start_mark) from None


_NUMBERS = {
    f"{_TAGS}int": re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"),
    f"{_TAGS}float": re.compile(
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
        r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
    ),
}
"""How YAML 1.2 writes numbers (its core schema). In YAML 1.1, which PyYAML reads, `1:30` is 90,
`010` is 8, `1_000` is 1000, and `1e-3` is a text."""


def _construct_int(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = node.value
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    return int(text.removeprefix("0o") if base == 8 else text, base)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _NUMBERS]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _tag, _pattern in _NUMBERS.items():
    _whole = re.compile(rf"(?:{_pattern.pattern})$")
    # types-PyYAML leaves its types open
    _Loader.add_implicit_resolver(_tag, _whole, list("-+.0123456789"))  # pyright: ignore[reportUnknownMemberType]
_Loader.add_constructor(f"{_TAGS}int", _construct_int)


def _refuse_tag(loader: _Loader, node: yaml.Node) -> None:
    del loader
    tag = node.tag.replace(_TAGS, "!!")
    raise ConstructorError(None, None, f"a recipe has no tags like {tag!r}", node.start_mark)


_Loader.add_constructor(None, _refuse_tag)


def read_value(text: str) -> Any:
    """Read a text as YAML, as if it were a value in a recipe.

    Raises:
        PupilaError: the text cannot be read as YAML; the message is the reason.
    """
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _measure(node, {})
        return loader.construct_document(node)  # pyright: ignore[reportUnknownMemberType]
    except yaml.MarkedYAMLError as error:
        raise PupilaError(_PLAIN_MESSAGES.get(str(error.problem), str(error.problem))) from None
    except yaml.YAMLError:
        raise PupilaError("it cannot be read") from None
    except RecursionError:
        raise PupilaError("it is nested too deeply") from None


class _Dumper(yaml.SafeDumper):
    """Puts quotes around every text that `_Loader` would read as something else."""

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


_Dumper.yaml_implicit_resolvers = {
    first: [*resolvers, *_Loader.yaml_implicit_resolvers.get(first, [])]
    for first, resolvers in yaml.SafeDumper.yaml_implicit_resolvers.items()
}


def write_text(value: dict[str, Any]) -> str:
    """Return a recipe's value as YAML, which `parse_source` reads as the same value."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def _parse(source: Source, problems: list[Problem]) -> None:
    """Fill in the value of a recipe, and the line of each key and item.

    Lines are recorded first, because constructing the value alters nodes with merges (`<<`).
    """
    file, text = source.file, source.text
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        if not isinstance(root, yaml.MappingNode):
            raise RecipeError([Problem(file, 1, "a recipe is a mapping with `data` and `steps`.")])
        _measure(root, {})
        _locate(root, (), source, problems)
        # types-PyYAML leaves its type open
        value: dict[str, Any] = loader.construct_document(root)  # pyright: ignore[reportUnknownMemberType]
        source.value.update(value)
        return
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        reason = f"the character U+{ord(text[error.position]):04X} may not stand in it"
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        reason = _PLAIN_MESSAGES.get(str(error.problem), str(error.problem))
    except RecursionError:
        line, reason = 1, "it is nested too deeply"
    raise RecipeError([Problem(file, line, f"not valid YAML: {reason}.")])


def _measure(node: yaml.Node, known: dict[int, int]) -> int:
    """Count the characters of a node with its aliases expanded; `known` has counts by node id.

    Raises:
        ConstructorError: there are too many characters, or a node contains itself.
    """
    if isinstance(node, yaml.ScalarNode):
        return 1 + len(node.value)
    characters = known.get(id(node))
    if characters is None:
        known[id(node)] = 0  # if it is met again before it is known, it contains itself
        below = chain(*node.value) if isinstance(node, yaml.MappingNode) else node.value
        known[id(node)] = characters = 1 + sum(_measure(child, known) for child in below)
    if not characters:
        raise ConstructorError(None, None, "found unconstructable recursive node", node.start_mark)
    if characters > _MAX_CHARACTERS:
        reason = f"with its aliases written out it has more than {_MAX_CHARACTERS:,} characters"
        raise ConstructorError(None, None, reason, node.start_mark)
    return characters


def _locate(node: yaml.Node, location: Location, source: Source, problems: list[Problem]) -> None:
    """Record the line of a node and of all below it; a key given twice is a problem."""
    line = source.lines.setdefault(location, node.start_mark.line + 1)
    if isinstance(node, yaml.ScalarNode):
        source.scalars[location] = node.value
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            _locate(item, (*location, number), source, problems)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise ConstructorError(None, None, "found unhashable key", key.start_mark)
            here, line = (*location, key.value), key.start_mark.line + 1
            if here in source.lines:
                problems.append(Problem(source.file, line, f"{key.value!r} is given twice."))
            else:
                source.lines[here] = line
                _locate(value, here, source, problems)
