"""Writes a manifest of ACRIMA and, without labels, of crops of IDRiD's photographs to learn from.

    python examples/chain_images.py DATA CROPS MANIFEST

DATA holds `glaucoma.csv` and `discs/discs.csv`, with crops of the original photographs. CROPS is
the folder that `pupila crop` made of `discs/discs.csv`: crops of the photographs at 512 pixels,
which are blurred. Of IDRiD only the split `train` is taken.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

from unseen_images import rows as images_of_both_hospitals

_COLUMNS = ("path", "label", "split", "source")


def rows(data: Path, crops: Path) -> Iterator[tuple[str, str, str, str]]:
    """Yield path, label, split and source of every image."""
    yield from images_of_both_hospitals(data)
    with (crops / "crops.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if row["split"] == "train":
                yield str(crops / row["path"]), "", "unlabelled", f"{row['source']}-512"


def main() -> None:
    """Be the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("crops", type=Path)
    parser.add_argument("manifest", type=Path)
    given = parser.parse_args()
    with given.manifest.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        writer.writerows(rows(given.data.resolve(), given.crops.resolve()))


if __name__ == "__main__":
    main()
