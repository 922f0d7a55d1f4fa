"""Writes a manifest of ACRIMA's images and, without labels, IDRiD's disc crops to learn from.

    python examples/unseen_images.py DATA MANIFEST

DATA holds `glaucoma.csv` and `discs/discs.csv`. Of IDRiD only the split `train` is taken: what is
in `validation` is for choosing, and `test` for evaluating, by `external`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import manifests


def rows(data: Path) -> Iterator[manifests.Row]:
    """Yield path, label, split and source of every image."""
    for row in manifests.read(data / "glaucoma.csv"):
        yield str(data / row["path"]), row["label"], row["split"], row["source"]
    for row in manifests.read(data / "discs" / "discs.csv"):
        if row["split"] == "train":
            crop = data / "discs" / "crops" / Path(row["path"]).name
            yield str(crop), "", "unlabelled", row["source"]


def main() -> None:
    """Be the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("manifest", type=Path)
    given = parser.parse_args()
    manifests.write(given.manifest, rows(given.data.resolve()))


if __name__ == "__main__":
    main()
