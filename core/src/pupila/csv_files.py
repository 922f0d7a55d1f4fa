"""Reads CSV files that list images; every error names the file and the line."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pupila.errors import PupilaError, join_names, nearest
from pupila.image_stats import MEASURED

_HEADER = ", line 1"
"""End of the text that says where the columns of a CSV are."""
NO_LINE: tuple[int, list[str]] = (1, [])
"""Header row of an empty CSV: line number 1, and no fields."""


def csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number and the fields of each row that is not blank, the header first.

    Raises:
        PupilaError: the file is not a CSV in UTF-8.
    """
    reader = csv.reader(_lines(path), strict=True)
    try:
        for row in reader:
            if any(row):
                yield reader.line_num, row
    except csv.Error as error:
        if "new-line character" in str(error):  # csv has one class for all its errors
            raise PupilaError(
                f"{path}, line {reader.line_num}: its lines end with CR alone, as on an old Mac. "
                f"Save the file as 'CSV UTF-8', with the line ends of Unix or Windows."
            ) from None
        raise PupilaError(
            f"{path}, line {reader.line_num} is not CSV: {error}. Double the quotes inside a field."
        ) from None


def _lines(path: Path) -> Iterator[str]:
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                yield line.decode("utf-8-sig")
            except UnicodeDecodeError as error:
                raise PupilaError(
                    f"{path}, line {number} is not UTF-8 (byte {line[error.start]:#04x}). Save "
                    f"the file as 'CSV UTF-8'."
                ) from None


def check_header(
    where: str,
    header: Sequence[str],
    needed: Sequence[str],
    advice: str = "",
    measured: Sequence[str] = MEASURED,
) -> None:
    """Make sure that a data set has the needed columns, none twice, and none that a scan adds.

    `where` names it in messages, as in `eyes.csv, line 1`. `header` has the names of the columns,
    `measured` those that a scan adds. `advice` ends the message on a missing column.

    Raises:
        PupilaError: a column is missing or repeated, or has the name of a column that a scan adds.
    """
    if not header:
        name = where.removesuffix(_HEADER)
        raise PupilaError(f"{name} is empty: expected a header with {', '.join(needed)}.")
    repeated = sorted(name for name, count in Counter(header).items() if count > 1)
    if repeated:
        raise PupilaError(f"{where} has the column {repeated[0]!r} twice: remove one.")
    added = [name for name in header if name in measured]
    if added:
        raise PupilaError(
            f"{where} has the column {added[0]!r}, which is measured from the files: "
            f"remove or rename it."
        )
    missing = [name for name in needed if name not in header]
    if missing:
        columns = join_names(map(repr, header))
        hint = nearest(missing[0], set(header) - set(needed))
        commas = ", separated by commas" if where.endswith(_HEADER) else ""
        raise PupilaError(
            f"{where} has no column {missing[0]!r}: found {columns}; expected "
            f"{', '.join(needed)}{commas}.{hint}{advice}"
        )


def by_column(path: Path, line: int, header: Sequence[str], row: Sequence[str]) -> dict[str, str]:
    """Return the fields of a line of a CSV, as `{column: field}`.

    Raises:
        PupilaError: the line has more or fewer fields than the header has columns.
    """
    if len(row) != len(header):
        raise PupilaError(
            f"{path}, line {line} has {len(row)} fields: expected {len(header)}, as in line 1."
        )
    return dict(zip(header, map(sys.intern, row), strict=True))


def list_once(
    where: str,
    name: str,
    origin: str,
    values: Mapping[str, str],
    listed: dict[str, tuple[str, str]],
) -> None:
    """Note the origin and the label of an image in `listed`, by path.

    `name` is the path as the data set has it, `where` names the data set and the origin, such as
    `line 3`, in messages.

    Raises:
        PupilaError: the image was listed before.
    """
    earlier, label = listed.setdefault(values["path"], (origin, values["label"]))
    if earlier == origin:
        return
    other = f", with the label {values['label']!r} instead of {label!r}"
    raise PupilaError(
        f"{where}: {name!r} is listed a second time, after {earlier}"
        f"{other if values['label'] != label else ''}. Remove one of the two."
    )
