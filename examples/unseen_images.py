"""Writes a manifest of ACRIMA's images and, without labels, IDRiD's disc crops to learn from.

    python examples/unseen_images.py DATA MANIFEST

DATA holds `glaucoma.csv` and `discs/discs.csv`. Of IDRiD only the split `train` is taken: what is
in `validation` is for choosing, and `test` for evaluating, by `external`.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

_COLUMNS = ("path", "label", "split", "source")


def rows(data: Path) -> Iterator[tuple[str, str, str, str]]:
    """Yield path, label, split and source of every image."""
    with (data / "glaucoma.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            yield str(data / row["path"]), row["label"], row["split"], row["source"]
    with (data / "discs" / "discs.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if row["split"] == "train":
                crop = data / "discs" / "crops" / Path(row["path"]).name
                yield str(crop), "", "unlabelled", row["source"]


def main() -> None:
    """Be the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("manifest", type=Path)
    given = parser.parse_args()
    with given.manifest.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        writer.writerows(rows(given.data.resolve()))


if __name__ == "__main__":
    main()
