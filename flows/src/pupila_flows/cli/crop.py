"""`pupila crop`: crops images around what a locator finds, for training classifiers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from pupila.cropping import MARGIN
from pupila.spec import MOST_PIXELS
from pupila_flows.cli.console import say, working
from pupila_flows.cli.options import HERE, AsJson, WorkspaceFolder


def crop(
    data: Annotated[
        Path,
        typer.Argument(
            help="Folder of images, with folders of classes or without, or CSV with a column "
            "`path`.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path, typer.Argument(help="New folder for crops and their CSV.", show_default=False)
    ],
    locator: Annotated[
        Path | None,
        typer.Option(
            "--with",
            metavar="LOCATOR",
            help="Model file or artifact that finds what to crop; by default the positions in the "
            "columns x, y, half_width and half_height of the CSV.",
        ),
    ] = None,
    size: Annotated[
        int, typer.Option(min=1, max=MOST_PIXELS, help="Height and width of the crops in pixels.")
    ] = 224,
    margin: Annotated[
        float,
        typer.Option(
            min=0.5, max=10, help="Side of the crop, by the larger of width and height found."
        ),
    ] = MARGIN,
    workspace: WorkspaceFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """Crop images around what a locator finds, and write a manifest of the crops."""
    from pupila_flows.run.crop import CropRequest, crop_data
    from pupila_flows.workspace import Workspace

    opened = Workspace.at(workspace)
    request = CropRequest(data, output, locator, size, margin)
    with working(as_json), opened.writing():
        cropped = crop_data(opened, request)
    if as_json:
        print(
            json.dumps(
                {
                    "manifest": str(cropped.manifest),
                    "crops": cropped.crops,
                    "absent": [str(path) for path in cropped.absent],
                    "enlarged": list(cropped.enlarged),
                    "skipped": [image.model_dump() for image in cropped.skipped],
                }
            )
        )
        return
    if cropped.absent:
        say(f"Left out, as nothing was found: {len(cropped.absent)} images")
    for image in cropped.skipped:
        say(f"Left out, as it cannot be read: {image.path}: {image.reason}")
    if cropped.enlarged:
        say(
            f"warning: {len(cropped.enlarged)} crops are enlarged, and so blurred: they have fewer "
            f"pixels in the photographs, down to {min(cropped.enlarged):.0f} x "
            f"{min(cropped.enlarged):.0f}, than {size} x {size}. Give larger photographs."
        )
    say(f"{cropped.crops} crops: {cropped.manifest}")
