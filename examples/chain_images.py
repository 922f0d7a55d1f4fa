"""Writes a manifest of ACRIMA and, without labels, of crops of IDRiD's photographs to learn from.

    python examples/chain_images.py DATA CROPS MANIFEST

DATA holds `glaucoma.csv` and `discs/discs.csv`, with crops of the original photographs. CROPS is
the folder that `pupila crop` made of `discs/discs.csv`: crops of the photographs at 512 pixels,
which are blurred. Of IDRiD only the split `train` is taken.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import manifests
from unseen_images import rows as images_of_both_hospitals


def rows(data: Path, crops: Path) -> Iterator[manifests.Row]:
    """Yield path, label, split and source of every image."""
    yield from images_of_both_hospitals(data)
    for row in manifests.read(crops / "crops.csv"):
        if row["split"] == "train":
            yield str(crops / row["path"]), "", "unlabelled", f"{row['source']}-512"


def main() -> None:
    """Be the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("crops", type=Path)
    parser.add_argument("manifest", type=Path)
    given = parser.parse_args()
    manifests.write(given.manifest, rows(given.data.resolve(), given.crops.resolve()))


if __name__ == "__main__":
    main()
