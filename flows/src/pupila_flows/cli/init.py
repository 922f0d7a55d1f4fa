"""`pupila init`: a first recipe for a folder of images and a model file."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pupila.errors import PupilaError
from pupila_flows.cli.console import say, working
from pupila_flows.cli.options import HERE, WorkspaceFolder

if TYPE_CHECKING:
    from pupila_flows.init.model import FoundModel
    from pupila_flows.init.recipe import Beginning
    from pupila_flows.init.split import Images


def init(
    images: Annotated[
        Path,
        typer.Argument(help="Folder with a folder for each class, or a CSV.", show_default=False),
    ],
    model: Annotated[
        Path, typer.Argument(help="Model file, or SavedModel folder.", show_default=False)
    ],
    name: Annotated[
        str | None,
        typer.Argument(
            help="Name of the recipe; by default that of the images.", show_default=False
        ),
    ] = None,
    patient: Annotated[
        str | None,
        typer.Option(
            help="Column of the CSV, or pattern of file names with one group: '^(P[0-9]+)_'. "
            "Images of a patient stay in one split.",
            show_default=False,
        ),
    ] = None,
    positive: Annotated[
        str | None,
        typer.Option(
            help="Class whose sensitivity counts; by default the one that is not normal.",
            show_default=False,
        ),
    ] = None,
    size: Annotated[
        str | None, typer.Option(help="Most bytes of the model: 500kB.", show_default=False)
    ] = None,
    browser: Annotated[
        bool, typer.Option("--browser", help="Also make files for browsers.")
    ] = False,
    micro: Annotated[
        bool, typer.Option("--micro", help="Make a file for TFLite Micro, of the smallest pupil.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of the split.")] = 1,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Take the best answer where it is not clear.")
    ] = False,
    workspace: WorkspaceFolder = HERE,
) -> None:
    """Look at images and a model, and write a commented recipe, and a split if there is none."""
    from pupila_flows.init.choose import choose_margins, choose_positive, choose_pupil, parse_size
    from pupila_flows.init.recipe import Beginning

    file = _new_file(name or images.resolve().stem)
    budget = parse_size(size) if size else None
    listed, best = _look(images, model, file, patient, seed, workspace)
    if not best.is_clear and not yes:
        _confirm(best)
    chosen = positive or choose_positive(listed.classes)
    if chosen not in listed.classes:
        raise PupilaError(f"--positive is {chosen!r}: give one of {', '.join(listed.classes)}.")
    beginning = Beginning(
        file=file,
        model=model,
        images=listed,
        positive=chosen,
        reading=best.best,
        pupil=choose_pupil(budget, sum(listed.counts("train").values()), is_micro=micro),
        margins=choose_margins(listed.counts("test"), chosen),
        limit=budget,
        is_for_browsers=browser,
        is_for_microcontrollers=micro,
    )
    file.write_text(beginning.text, encoding="utf-8")
    _explain(beginning, best)


def _new_file(name: str) -> Path:
    """Return the path of the recipe, which must not exist."""
    from pupila.names import lower_case_name_fault

    clean = name.lower().replace("_", "-").replace(" ", "-")
    if fault := lower_case_name_fault(clean):
        raise PupilaError(f"The name of the recipe is {name!r}: it {fault}. Give one as NAME.")
    file = Path(f"{clean}.yaml")
    if file.exists():
        raise PupilaError(f"{str(file)!r} exists already: give another NAME, or remove it.")
    return file


def _look(
    images: Path, model: Path, file: Path, patient: str | None, seed: int, workspace: Path
) -> tuple[Images, FoundModel]:
    """Return what is known of the images and of the model."""
    from pupila.dataset import Dataset
    from pupila.plugin_registry import installed
    from pupila_flows.init.model import find_model
    from pupila_flows.init.split import find_images
    from pupila_flows.progress import current_display
    from pupila_flows.workspace import Workspace

    opened = Workspace.at(workspace)
    installed().loader(model)  # before minutes are spent on the images
    with working(as_json=False), opened.writing():
        display = current_display.get()
        listed = find_images(
            images,
            file.with_suffix(".csv"),
            opened.cache,
            patient,
            seed,
            partial(display.update, "images"),
        )
        display.finish("images", f"{len(listed.frame)} images")
        dataset = Dataset.of(listed.frame, listed.classes, opened.cache)
        return listed, find_model(opened, model, dataset.select("validation"))


def _confirm(best: FoundModel) -> None:
    """Ask whether the best reading of the model is right, if a person can answer.

    Raises:
        PupilaError: nobody can, or the answer is no.
    """
    listed = "; ".join(map(str, best.tried))
    question = (
        f"How the pixels are scaled for this model is not clear. Fractions of the validation "
        f"images that are answered right: {listed}. Use {best.best.preprocess!r}?"
    )
    if not sys.stdin.isatty():
        raise PupilaError(f"{question} Nobody can answer here: say --yes.")
    if not typer.confirm(question, default=True):
        raise PupilaError("Nothing was written: set `preprocess` in a recipe of your own.")


def _explain(beginning: Beginning, best: FoundModel) -> None:
    """Print what is in the recipe, and what to do next."""
    from pupila_flows.plan.reach import reach_of_images

    images, reading, file = beginning.images, beginning.reading, beginning.file
    if images.unreadable:
        say(
            f"warning: {images.unreadable} files cannot be read, and were left out.",
            file=sys.stderr,
        )
    if images.groups is not None:
        say(f"Split:  {images.path} (images of a patient, and near-duplicates, in one split)")
    height, width = reading.artifact.record.input.height, reading.artifact.record.input.width
    say(
        f"Model:  {width} × {height} px, {reading.output} over {', '.join(reading.classes)}, "
        f"preprocess {reading.preprocess}: {reading.accuracy:.1%} of the validation images right"
    )
    others = [str(other) for other in best.tried if other is not reading]
    if others:
        say(f"        others tried: {'; '.join(others)}")
    say(f"Pupil:  {beginning.pupil.student} at {beginning.pupil.size} px")
    say(reach_of_images(images.counts("test"), beginning.positive, tuple(beginning.margins)))
    if not beginning.margins:
        say("warning: the test images are too few to show any margin: add some.", file=sys.stderr)
    say(f"Recipe: {file}. Next: pupila run {file}, then pupila open {file.stem}")
