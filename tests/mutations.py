"""Makes hostile inputs of good ones: bytes, values of JSON, YAML and CSV, members of zips, files.

Every choice is drawn from the `random.Random` that is given: one seed gives one input.
"""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, cast

import yaml

Mutation = Callable[[Path, Random, Path], None]
"""Alters a copy of an input; the last argument is a folder in which nothing may be written."""


def hostile(random: Random, outside: Path) -> Any:
    """Return a value that nobody expects."""
    texts = [
        *("", "\x00", "a\x1b[31mb\x07", "‮gnp.exe", "x" * 100_000, "\ud800", "é", "Ill", " ill "),
        *(str(outside / "written"), "../" * 12 + str(outside / "written")[1:], "/dev/zero"),
        *("/dev/stdin", "/proc/self/mem", "file:///etc/passwd", "https://127.0.0.1:9/x", "~/x"),
        *("${HOME}", "=1+1", "<script>alert(1)</script>", "1e999", "NaN", "0x10", "1:30"),
        *("Lambda", "TFSMLayer", "keras.utils", "get_file", "os", "builtins", "function"),
    ]
    numbers = [0, -1, 1, 2**31, 2**63, -(2**63), 10**400, 1e308, float("inf"), float("nan"), 1e-320]
    others: list[Any] = [None, True, [], {}, [[]], _nested(random.choice([5, 200])), [1] * 10_000]
    return random.choice(random.choice([texts, numbers, others]))


def _nested(depth: int) -> Any:
    value: Any = {"class_name": "Dense"}
    for _ in range(depth):
        value = {"config": value} if depth % 2 else [value]
    return value


# Values --------------------------------------------------------------------------------------


def mutate_value(value: Any, random: Random, outside: Path) -> Any:
    """Return a JSON value with a few places altered."""
    holder = [value]
    for _ in range(random.choice([1, 1, 1, 2, 4])):
        places = list(_places(holder))
        parent, key = random.choice(places)
        _alter(parent, key, places, random, outside)
    return holder[0]


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Return every place in a JSON value, as its parent and key."""
    places: list[tuple[Any, Any]] = []
    pending = [value]
    while pending:
        parent = pending.pop()
        keys: list[Any] = list(parent if hasattr(parent, "keys") else range(len(parent)))
        places += [(parent, key) for key in keys]
        pending += [parent[key] for key in keys if isinstance(parent[key], dict | list)]
    return places


def _alter(
    parent: Any, key: Any, places: list[tuple[Any, Any]], random: Random, outside: Path
) -> None:
    kind = random.choice(["hostile", "hostile", "hostile", "delete", "other", "rename", "repeat"])
    is_mapping = hasattr(parent, "keys")
    if kind == "delete" and (is_mapping or len(parent) > 1):
        del parent[key]
    elif kind == "other":  # a copy, so that nothing contains itself
        source, at = random.choice(places)
        other = source[at] if at in source or not isinstance(source, dict) else None
        parent[key] = json.loads(json.dumps(other))
    elif kind == "rename" and is_mapping:
        parent[str(hostile(random, outside))] = parent.pop(key)
    elif kind == "repeat" and not is_mapping:
        parent += [parent[key]] * random.choice([1, 100])
    else:
        parent[key] = hostile(random, outside)


# Bytes ---------------------------------------------------------------------------------------


def mutate_bytes(content: bytes, random: Random) -> bytes:
    """Return bytes with some of them altered, cut off, doubled or left out."""
    if not content:
        return b"\x00"
    kind = random.choice(["flip", "flip", "flip", "number", "cut", "double", "zero", "drop"])
    altered = bytearray(content)
    start = random.randrange(len(content))
    length = random.choice([1, 4, 64, 4096])
    if kind == "flip":
        for _ in range(random.choice([1, 4, 32])):
            altered[random.randrange(len(altered))] = random.randrange(256)
    elif kind == "number":  # a length or an offset, maybe
        size = random.choice([4, 8])
        value = random.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF, len(content), start])
        altered[start & ~3 : (start & ~3) + size] = value.to_bytes(size, "little")
    elif kind == "cut":
        del altered[start:]
    elif kind == "double":
        altered[start:start] = content[start : start + length]
    elif kind == "zero":
        altered[start : start + length] = bytes(len(altered[start : start + length]))
    else:
        del altered[start : start + length]
    return bytes(altered)


# Files ---------------------------------------------------------------------------------------


def mutate_file(path: Path, random: Random, outside: Path) -> None:
    """Alter a file as what it is, or as bytes."""
    alter = _BY_SUFFIX.get(path.suffix)
    if alter is None or random.random() < 0.2:
        path.write_bytes(mutate_bytes(path.read_bytes(), random))
    else:
        alter(path, random, outside)


def _json(path: Path, random: Random, outside: Path) -> None:
    path.write_bytes(_json_bytes(path.read_bytes(), random, outside))


def _json_bytes(content: bytes, random: Random, outside: Path) -> bytes:
    return json.dumps(mutate_value(json.loads(content), random, outside)).encode()


def _yaml(path: Path, random: Random, outside: Path) -> None:
    value = mutate_value(yaml.safe_load(path.read_text()), random, outside)
    text = yaml.safe_dump(value, allow_unicode=True)
    lines = text.splitlines() or [""]
    if random.random() < 0.3:
        odd = ["!!python/object/apply:os.getcwd []", "&a [*a]", "*nowhere", "? x", "\t", "---", "}"]
        lines.insert(random.randrange(len(lines)), random.choice(odd))
    path.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))


def _csv(path: Path, random: Random, outside: Path) -> None:
    rows: list[Any] = list(csv.reader(path.read_text().splitlines()))
    mutate_value(rows, random, outside)
    text = io.StringIO()
    for row in rows:
        cells = cast("list[Any]", row) if isinstance(row, list) else [row]
        csv.writer(text).writerow([str(cell) for cell in cells])
    path.write_bytes(text.getvalue().encode("utf-8", "surrogatepass"))


def _zip(path: Path, random: Random, outside: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        members = [(member, archive.read(member)) for member in archive.namelist()]
    at = random.randrange(len(members))
    name, content = members[at]
    kind = random.choice(["value", "value", "value", "bytes", "rename", "twice", "drop"])
    if kind == "value":
        at = next(n for n, (member, _) in enumerate(members) if member.endswith("config.json"))
        name, content = members[at]
        members[at] = (name, _json_bytes(content, random, outside))
    elif kind == "bytes":
        members[at] = (name, mutate_bytes(content, random))
    elif kind == "rename":
        members[at] = (random.choice([f"../../{name}", f"{outside}/{name}", name + "/"]), content)
    elif kind == "twice":
        members.append((name, mutate_bytes(content, random)))
    else:
        del members[at]
    with zipfile.ZipFile(path, "w", random.choice([0, zipfile.ZIP_DEFLATED])) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content)


def _hdf5(path: Path, random: Random, outside: Path) -> None:
    import h5py  # pyright: ignore[reportMissingTypeStubs] - it has no types

    h5: Any = h5py
    with h5.File(path, "a") as file:
        kind = random.choice(["value", "value", "link", "attribute", "drop"])
        names = list(file)
        if kind == "value" and "model_config" in file.attrs:
            config = json.loads(str(file.attrs["model_config"]))
            file.attrs["model_config"] = json.dumps(mutate_value(config, random, outside))
        elif kind == "link":
            links = [h5.SoftLink("/"), h5.ExternalLink(str(outside), "/"), h5.SoftLink("/nowhere")]
            file[f"added{random.random()}"] = random.choice(links)
        elif kind == "attribute":
            file.attrs[random.choice(["keras_version", "backend", "model_config"])] = 7
        else:
            del file[random.choice(names)]


_BY_SUFFIX: dict[str, Mutation] = {
    ".json": _json,
    ".yaml": _yaml,
    ".csv": _csv,
    ".keras": _zip,
    ".h5": _hdf5,
}


# Folders -------------------------------------------------------------------------------------


def mutate_folder(folder: Path, random: Random, outside: Path) -> None:
    """Alter a file of a folder, or what the folder holds."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    if random.random() < 0.75:
        mutate_file(random.choice(files), random, outside)
        return
    path = random.choice(files)
    kind = random.choice(["drop", "link", "pipe", "folder", "add", "swap", "out"])
    if kind == "add":
        _make(path.with_name(random.choice(["x.json", "000009.json", "-rf", "a\nb", "é.bin"])))
    elif kind == "swap":
        path.write_bytes(random.choice(files).read_bytes())
    elif kind == "out":
        shutil.move(path, outside.parent / f"moved{random.random()}")
    else:
        path.unlink()
        if kind == "link":
            target = random.choice(["/dev/zero", "/etc/passwd", ".", str(outside), path.name])
            path.symlink_to(target)
        elif kind == "pipe":
            os.mkfifo(path)
        elif kind == "folder":
            path.mkdir()


def _make(path: Path) -> None:
    path.write_text("{}")
