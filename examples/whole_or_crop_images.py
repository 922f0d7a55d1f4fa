"""Writes a manifest of whole fundus photographs, of crops around optic discs, and of other images.

    python examples/whole_or_crop_images.py DATA MANIFEST

DATA holds `glaucoma.csv`, `fundus_or_not.csv` and `discs/discs.csv`. Every image keeps its split.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import manifests


def rows(data: Path) -> Iterator[manifests.Row]:
    """Yield path, label, split and source of every image."""
    for row in manifests.read(data / "glaucoma.csv"):
        yield str(data / row["path"]), "crop", row["split"], row["source"]
    for row in manifests.read(data / "fundus_or_not.csv"):
        if row["source"] != "acrima":
            label = "photograph" if row["label"] == "fundus" else "other"
            yield str(data / row["path"]), label, row["split"], row["source"]
    for row in manifests.read(data / "discs" / "discs.csv"):
        photograph = data / "discs" / row["path"]
        yield str(photograph), "photograph", row["split"], row["source"]
        crop = data / "discs" / "crops" / photograph.name
        yield str(crop), "crop", row["split"], row["source"]


def main() -> None:
    """Be the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("manifest", type=Path)
    given = parser.parse_args()
    manifests.write(given.manifest, rows(given.data.resolve()))


if __name__ == "__main__":
    main()
