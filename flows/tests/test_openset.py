"""Near misses, altered images and hard negatives: what a gate is tried on, and taught with."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from sample_runs import TWELVE, sample_run

from pupila import PupilaError, manifest
from pupila.dataset import Dataset
from pupila.evaluation import (
    Acceptance,
    NearMiss,
    NegativeGroup,
    OpenSet,
)
from pupila.metrics import proportion
from pupila.openset import OpenSetImages
from pupila_flows import assignments, parts
from pupila_flows.frames import read_dataset, write_frame
from pupila_flows.made import whole
from pupila_flows.negatives.kinds import KINDS
from pupila_flows.negatives.writing import added, check_label, write_negatives, written
from pupila_flows.openset import corruptions, near_misses
from pupila_flows.openset.corruptions import ALTERATIONS, altered, write_altered
from pupila_flows.openset.reading import read_near_misses
from pupila_flows.plan import RecipeError, read_plan
from pupila_flows.recipe import EvaluateSection, HardNegativesSection, OpenSetSection
from pupila_flows.report import write_report
from pupila_flows.results import Entry, RunResult
from pupila_flows.tables import result_rows
from pupila_flows.work import Work
from pupila_flows.workspace import Workspace


def _silent(done: int, total: int, what: str) -> None:
    del done, total, what


def picture(path: Path, colour: tuple[int, int, int], seed: int = 0, side: int = 48) -> Path:
    """Write a noisy picture of one colour."""
    noise = np.random.default_rng(seed).normal(0, 20, (side, side + 8, 3))
    pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A CSV of red eyes and of green others, four of each in every split."""
    lines = ["path,label,split,source,patient"]
    colours = {"eye": (190, 80, 30), "other": (60, 150, 90)}
    for number, split in enumerate(("train", "validation", "test")):
        for label, colour in colours.items():
            for image in range(4):
                name = f"{label}-{split}-{image}.png"
                picture(tmp_path / name, colour, seed=1000 * number + 10 * image + len(label))
                lines.append(f"{name},{label},{split},{'disc' if image % 2 else 'whole'},p{name}")
    path = tmp_path / "data.csv"
    path.write_text("\n".join(lines))
    return path


def scanned(data: Path) -> Dataset:
    cache = data.parent / "cache"
    frame = manifest.scan(manifest.read(data), cache, _silent)
    return Dataset.of(frame, ("eye", "other"), cache)


# Near misses ---------------------------------------------------------------------------------


def test_a_folder_of_folders_is_a_group_each(tmp_path: Path):
    for name in ("moon/a.png", "moon/deep/b.png", "orange/c.png"):
        picture(tmp_path / "near" / name, (200, 120, 20))
    (tmp_path / "near" / "moon" / "notes.txt").write_text("no image")
    found = read_near_misses(tmp_path / "near", ("eye", "other"), tmp_path / "cache")
    assert sorted(found.frame["label"]) == ["moon", "moon", "orange"]
    assert set(found.frame["split"]) == {"test"}
    assert all(path.is_file() for path in found.paths)


def test_a_csv_names_the_groups(tmp_path: Path):
    picture(tmp_path / "images" / "a.png", (200, 120, 20))
    (tmp_path / "near.csv").write_text("group,path\nmoon,images/a.png\n")
    assert near_misses.listed(tmp_path / "near.csv") == [
        (str(tmp_path / "images" / "a.png"), "moon")
    ]


def _loose(root: Path) -> Path:
    picture(root / "a.png", (1, 2, 3))
    return root


def _empty_group(root: Path) -> Path:
    picture(root / "moon" / "a.png", (1, 2, 3))
    (root / "orange").mkdir()
    return root


def _named_all(root: Path) -> Path:
    picture(root / "all" / "a.png", (1, 2, 3))
    return root


def _nothing(root: Path) -> Path:
    root.mkdir()
    return root


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_loose, "1 images lie directly .* of no group"),
        (_empty_group, "orange' has no image"),
        (_nothing, "has no images: expected a folder"),
        (_named_all, "has a group 'all', which is the name of all groups together: rename it"),
    ],
)
def test_near_misses_in_no_groups_are_refused(
    tmp_path: Path, make: Callable[[Path], Path], said: str
):
    with pytest.raises(PupilaError, match=said):
        near_misses.listed(make(tmp_path / "near"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("path,grop\na.png,moon\n", "no column 'group'.*grop"),
        ("path,group\na.png,\n", "line 2: 'a.png' has no group"),
        ("path,group\nb.png,moon\n", "line 2: there is no file 'b.png'"),
        ("path,group\n", "has no images"),
        ("path,group\na.png,all\n", "has a group 'all'"),
        ("path,group\n" + "b" * 300 + ".png,moon\n", "line 2: there is no file 'bbb"),
        (
            "path,group\na.png,moon\n./a.png,orange\n",
            "line 3: './a.png' is listed a second time, after line 2",
        ),
    ],
)
def test_a_csv_of_near_misses_says_what_is_wrong_with_it(tmp_path: Path, text: str, said: str):
    picture(tmp_path / "a.png", (1, 2, 3))
    (tmp_path / "near.csv").write_text(text)
    with pytest.raises(PupilaError, match=said):
        near_misses.listed(tmp_path / "near.csv")


def test_a_file_that_is_no_csv_is_refused(tmp_path: Path):
    with pytest.raises(PupilaError, match="is no CSV in UTF-8"):
        near_misses.listed(picture(tmp_path / "a.png", (200, 120, 20)))


@pytest.mark.parametrize("closed", ["", "moon", "moon/deep"])
def test_a_folder_that_may_not_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed: str
):
    picture(tmp_path / "near" / "moon" / "deep" / "a.png", (1, 2, 3))
    picture(tmp_path / "near" / "moon" / "b.png", (1, 2, 3))
    listed, refused = Path.iterdir, tmp_path / "near" / closed

    def iterdir(folder: Path) -> Iterator[Path]:
        if folder == refused:
            raise PermissionError(13, "Permission denied", str(folder))
        return listed(folder)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    with pytest.raises(PupilaError, match=f"'{refused}' cannot be read: Permission denied"):
        near_misses.listed(tmp_path / "near")


def test_hidden_files_and_folders_are_no_near_misses(tmp_path: Path):
    for name in ("moon/a.png", "moon/._a.png", "moon/.trash/b.png", ".trash/c.png"):
        picture(tmp_path / name, (1, 2, 3))
    assert near_misses.listed(tmp_path) == [(str(tmp_path / "moon" / "a.png"), "moon")]


def test_an_unreadable_near_miss_is_named(tmp_path: Path):
    picture(tmp_path / "near" / "moon" / "a.png", (1, 2, 3))
    (tmp_path / "near" / "moon" / "b.png").write_bytes(b"no image")
    with pytest.raises(PupilaError, match=r"1 of the 2 near misses cannot be read, .*b\.png"):
        read_near_misses(tmp_path / "near", ("eye", "other"), tmp_path / "cache")


# Altered images ------------------------------------------------------------------------------


def test_every_image_is_altered_in_every_way(tmp_path: Path):
    paths = [picture(tmp_path / f"{n}.png", (190, 80, 30), seed=n) for n in range(2)]
    write_altered(paths, tmp_path / "altered", _silent)
    found = altered(tmp_path / "altered")
    assert [name for _, name, _ in found] == [name for name in ALTERATIONS for _ in paths]
    sizes = {name: Image.open(file).size for file, name, _ in found}
    assert sizes["rotated 90°"] == (48, 56) and sizes["cropped to 60 %"] == (34, 28)
    assert {sizes[name] for name in ("blur", "dark", "grey", "mirrored")} == {(56, 48)}
    before = {file: Path(file).read_bytes() for file, _, _ in found}
    write_altered(paths, tmp_path / "altered", _silent)
    assert before == {file: Path(file).read_bytes() for file, _, _ in altered(tmp_path / "altered")}


def test_every_alteration_but_one_is_hardly_compressed(tmp_path: Path):
    path = picture(tmp_path / "a.png", (190, 80, 30))
    write_altered([path], tmp_path / "altered", _silent)
    tables: dict[str, object] = {}
    for file, name, _ in altered(tmp_path / "altered"):
        with Image.open(file) as image:
            assert isinstance(image, JpegImageFile)
            tables[name] = image.quantization
    for quality in (10, 95):
        Image.open(path).save(tmp_path / f"{quality}.jpg", quality=quality)
        with Image.open(tmp_path / f"{quality}.jpg") as image:
            assert isinstance(image, JpegImageFile)
            tables[str(quality)] = image.quantization
    assert tables["10"] != tables["95"]
    low = {name for name, table in tables.items() if table == tables["10"]}
    assert low == {"10", "JPEG quality 10"}
    assert all(tables[name] == tables["95"] for name in set(tables) - low)


def test_all_that_decides_how_altered_images_are_written_is_in_their_key(
    monkeypatch: pytest.MonkeyPatch,
):
    before = corruptions.strengths()
    for name in ("_BLUR_PART", "_DARK", "_LOW_QUALITY", "_QUALITY", "_SUBSAMPLING"):
        with monkeypatch.context() as changed:
            changed.setattr(corruptions, name, 7)
            assert corruptions.strengths() != before, name


# Folders of made images ----------------------------------------------------------------------


def test_a_folder_that_is_not_finished_is_not_there_and_leaves_nothing(tmp_path: Path):
    picture(tmp_path / ".made-0123" / "0" / "a.png", (1, 2, 3))  # of a process that was killed
    picture(tmp_path / ".other-0123" / "0" / "a.png", (1, 2, 3))
    with pytest.raises(ValueError, match="amid"), whole(tmp_path / "made") as draft:
        (draft / "a").write_text("a")
        raise ValueError("amid")
    assert [each.name for each in tmp_path.iterdir()] == [".other-0123"]
    with whole(tmp_path / "made") as draft:
        (draft / "a").write_text("a")
    assert sorted(each.name for each in tmp_path.iterdir()) == [".other-0123", "made"]


@pytest.mark.parametrize("kind", ["negatives", "altered"])
def test_made_images_are_made_again_where_one_is_lost(data: Path, kind: str):
    dataset = scanned(data)
    place = Workspace.at(data.parent / "workspace")

    def planned() -> Work:
        if kind == "altered":
            return assignments.alter(place, dataset.select("test"))
        section = HardNegativesSection(label="other", images=6)
        return assignments.make_negatives(place, dataset.select("train"), section, seed=7)

    work = planned()
    folder = Path(work.target(progress=_silent, **work.arguments)["images"])
    assert version("pillow") in work.identity
    assert planned().key == work.key and folder.exists()
    next(folder.glob("*/*")).unlink()
    assert planned().key == work.key and not folder.exists()


def test_a_hard_negative_that_cannot_be_read_is_told(data: Path):
    dataset, folder = scanned(data), data.parent / "made"
    write_negatives(dataset.select("train"), "other", 5, 7, folder, _silent)
    (folder / "disc" / "00002.jpg").write_bytes(b"no image")
    with pytest.raises(PupilaError, match=r"1 of the 5 hard negatives .*00002\.jpg.*made again"):
        added(dataset, folder, "other", 7)


def test_a_gate_is_judged_once_wherever_the_workspace_lies(
    data: Path, monkeypatch: pytest.MonkeyPatch
):
    dataset = scanned(data)
    runner = SimpleNamespace(plugin=SimpleNamespace(name="a"), distribution="a", version="1")

    def same(asked: object) -> SimpleNamespace:
        del asked
        return runner

    registry = SimpleNamespace(runner=same, origin=same)
    monkeypatch.setattr(assignments, "installed", lambda: registry)
    section = EvaluateSection(open_set=OpenSetSection(accepts="eye"))
    artifact: Any = SimpleNamespace(format="keras", digest="0a1b")

    def key(place: str, accepts: str) -> str:
        near = OpenSetImages(accepts, dataset.select("test"))
        where = Workspace.at(data.parent / place)
        return assignments.judge(
            where,
            "a",
            artifact,
            dataset,
            "eye",
            section,
            open_set=near,
        ).key

    assert key("here", "eye") == key("there", "eye") != key("here", "other")


Pixels = NDArray[np.float64]


def _is_darker(was: Pixels, now: Pixels) -> bool:
    return abs(now.mean() / was.mean() - 0.35) < 0.02


def _is_brighter(was: Pixels, now: Pixels) -> bool:
    return bool(now.mean() > 1.4 * was.mean())


def _is_smoother(was: Pixels, now: Pixels) -> bool:
    return bool((now.std(axis=(0, 1)) < 0.6 * was.std(axis=(0, 1))).all())


def _is_grey(was: Pixels, now: Pixels) -> bool:
    return was.shape == now.shape and bool((np.ptp(now, axis=2) == 0).all())


def _is_mirrored(was: Pixels, now: Pixels) -> bool:
    return np.array_equal(was[:, ::-1], now)


def _is_turned(was: Pixels, now: Pixels) -> bool:
    return np.array_equal(np.rot90(was), now)


def _is_tilted(was: Pixels, now: Pixels) -> bool:
    return was.shape == now.shape and bool(was[0, 0].any()) and not now[0, 0].any()


@pytest.mark.parametrize(
    ("name", "holds"),
    [
        ("blur", _is_smoother),
        ("dark", _is_darker),
        ("overexposed", _is_brighter),
        ("grey", _is_grey),
        ("mirrored", _is_mirrored),
        ("rotated 90°", _is_turned),
        ("rotated 15°", _is_tilted),
    ],
)
def test_an_alteration_does_what_it_says(
    tmp_path: Path, name: str, holds: Callable[[Pixels, Pixels], bool]
):
    image = Image.open(picture(tmp_path / "a.png", (120, 80, 50)))
    assert holds(np.asarray(image, np.float64), np.asarray(ALTERATIONS[name](image), np.float64))


# Hard negatives ------------------------------------------------------------------------------


def test_hard_negatives_are_training_images_of_every_kind(data: Path):
    dataset = scanned(data)
    folder = data.parent / "made"
    write_negatives(dataset.select("train"), "other", 12, 7, folder, _silent)
    both, check = added(dataset, folder, "other", 7)
    made = both.frame[both.frame["source"].astype("str").str.startswith("made-")]
    assert len(both) == len(dataset) + 12
    assert set(made["split"]) == {"train"} and set(made["label"]) == {"other"}
    assert set(made["source"]) == {f"made-{kind}" for kind in KINDS}
    assert set(made["patient"]) == {""} and set(made["error"]) == {""}
    assert set(zip(made["width"], made["height"], strict=True)) == {(56, 48)}
    assert check.passed and "12 training images of 'other' were made: 3 recoloured" in check.found


def test_the_rest_of_the_data_stays_as_it_was_and_all_of_it_can_be_handed_on(data: Path):
    dataset = scanned(data)
    write_negatives(dataset.select("train"), "other", 5, 7, data.parent / "made", _silent)
    both, _ = added(dataset, data.parent / "made", "other", 7)
    for split in ("validation", "test"):
        assert both.select(split).fingerprint == dataset.select(split).fingerprint
    assert both.fingerprint != dataset.fingerprint
    file = write_frame(both.frame, data.parent)
    assert read_dataset(file, list(both.classes), both.cache).fingerprint == both.fingerprint


def test_a_hard_negative_knows_the_two_images_that_it_was_made_from(data: Path):
    dataset, folder = scanned(data), data.parent / "made"
    write_negatives(dataset.select("train"), "other", 10, 7, folder, _silent)
    both, _ = added(dataset, folder, "other", 7)
    path_of = dict(zip(dataset.frame["sha256"], dataset.paths, strict=True))
    made = both.frame[both.frame["source"] == "made-recoloured"].to_dict("records")
    assert len(made) == 2
    for row in made:
        parents = (Image.open(path_of[sha]) for sha in row["made_from"].split())
        own, other = (np.asarray(each, np.float32) for each in parents)
        again = KINDS["recoloured"](own, other, np.random.default_rng(0))
        found = np.asarray(Image.open(row["path"]), np.float32)
        grey = [np.clip(each, 0, 255).mean(axis=2).ravel() for each in (again, found)]
        assert np.corrcoef(*grey)[0, 1] > 0.7  # the noise of every image is its own


def test_what_was_made_from_an_image_that_is_left_out_is_left_out_too(data: Path):
    dataset, folder = scanned(data), data.parent / "made"
    write_negatives(dataset.select("train"), "other", 40, 7, folder, _silent)
    both, _ = added(dataset, folder, "other", 7)
    whole_discs = dataset.frame[dataset.frame["source"] == "disc"]["sha256"].tolist()
    for shown in (
        parts.shown(both, {"source": ("disc",)}),
        parts.shown(
            read_dataset(write_frame(both.frame, data.parent), list(both.classes), both.cache),
            {"source": ("disc",)},
        ),
    ):
        made = shown.frame[shown.frame["made_from"] != ""]
        assert 0 < len(made) < 40
        parents = {sha for each in made["made_from"] for sha in each.split()}
        assert parents.isdisjoint(whole_discs)
        left = both.frame[both.frame["made_from"] != ""]["made_from"]
        assert len(made) == sum(set(each.split()).isdisjoint(whole_discs) for each in left)
    assert len(parts.shown(both, {})) == len(both.without("test"))


def test_the_seed_makes_the_images_and_another_makes_others(data: Path):
    train = scanned(data).select("train")
    folders = [data.parent / name for name in ("a", "b", "c")]
    for folder, seed in zip(folders, (7, 7, 8), strict=True):
        write_negatives(train, "other", 5, seed, folder, _silent)
    contents = [[Path(file).read_bytes() for file, _ in written(folder)] for folder in folders]
    assert contents[0] == contents[1] != contents[2]


def test_recoloured_images_have_the_colours_of_the_other_class(data: Path):
    dataset = scanned(data)
    write_negatives(dataset.select("train"), "other", 5, 7, data.parent / "made", _silent)
    both, _ = added(dataset, data.parent / "made", "other", 7)
    (row,) = both.frame[both.frame["source"] == "made-recoloured"].to_dict("records")
    assert (row["mean_red"], row["mean_green"]) == (
        pytest.approx(190, abs=8),
        pytest.approx(80, abs=8),
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(8, 8), (40, 71), (120, 30)])
def test_a_kind_draws_finite_pixels_of_the_size_it_is_given(kind: str, shape: tuple[int, int]):
    random = np.random.default_rng(0)
    for seed in range(6):
        own = random.uniform(0, 255, (*shape, 3)).astype(np.float32)
        other = np.zeros((30, 30, 3), np.float32) if seed == 5 else own[::-1] / 2
        made = KINDS[kind](own, other, np.random.default_rng(seed))
        assert made.shape == own.shape
        assert np.isfinite(made).all()


def test_there_must_be_another_class_to_take_colours_from(data: Path):
    dataset = scanned(data)
    with pytest.raises(PupilaError, match="of that class and of another"):
        check_label("moon", dataset)
    only = dataset.frame[(dataset.frame["label"] == "other") | (dataset.frame["split"] == "test")]
    with pytest.raises(PupilaError, match=r"the training images are of \['other'\]"):
        check_label("other", Dataset.of(only, dataset.classes, dataset.cache))


# The recipe ----------------------------------------------------------------------------------

RECIPE = """\
name: gate
data:
  path: data.csv
  hard_negatives: {{label: {label}}}
steps:
  pupil: {{use: train}}
evaluate:
  open_set:
    accepts: {accepts}
    path: {path}
"""


def _problems(data: Path, **changes: str) -> list[str]:
    file = data.parent / "recipe.yaml"
    file.write_text(RECIPE.format(**{"label": "other", "accepts": "eye", "path": "near"} | changes))
    try:
        plan = read_plan(file)
    except RecipeError as error:
        return [f"{each.line}: {each.message}" for each in error.problems]
    assert plan.near_misses == data.parent / "near"
    return []


def test_a_gate_and_its_hard_negatives_are_checked_before_anything_runs(data: Path):
    picture(data.parent / "near" / "moon" / "a.png", (1, 2, 3))
    (data.parent / "empty").mkdir()
    assert _problems(data) == []
    for changes, said in (
        ({"accepts": "eyes"}, ["9: accepts is 'eyes', which is none of the classes"]),
        ({"label": "others"}, ["4: label is 'others', which is none of the classes"]),
        ({"path": "nearr"}, ["10: no near misses at"]),
        ({"path": "empty"}, ["10: "]),
    ):
        found = _problems(data, **changes)
        assert len(found) == 1
        assert found[0].startswith(said[0])


def test_a_gate_needs_two_classes(data: Path):
    picture(data.parent / "near" / "moon" / "a.png", (1, 2, 3))
    text = data.read_text() + "\neye-train-0.png,third,train,x,p"
    data.write_text(text.replace("eye-train-0.png,eye,train,whole,peye-train-0.png\n", ""))
    (found,) = _problems(data)
    assert "a gate tells two classes apart, but the data has ['eye', 'other', 'third']" in found


# The report ----------------------------------------------------------------------------------


def gate(near: Path | None, accepted: int) -> OpenSet:
    group = NegativeGroup(
        name="moon",
        near_miss=True,
        trained=False,
        images=12,
        auc=None,
        accepted=proportion(accepted, 12),
        accepted_at_95=proportion(0, 12),
    )
    everything = group.model_copy(update={"name": "all"})
    seen = group.model_copy(update={"name": "street", "near_miss": False, "trained": True})
    return OpenSet(
        accepts="glaucoma",
        threshold=0.875,
        chosen_on="validation",
        comparable_threshold=0.8,
        accepted=Acceptance(name="all", images=50, accepted=proportion(49, 50)),
        accepted_groups=(),
        negatives=(seen, everything, group),
        corrupted=(Acceptance(name="blur", images=50, accepted=proportion(20, 50)),),
        nearest=(
            NearMiss(
                path=str(near), group="moon", near_miss=True, probability=0.991, accepted=True
            ),
        )
        if near
        else (),
    )


def gated(run: RunResult, found: OpenSet) -> RunResult:
    entries: list[Entry] = []
    for entry in run.entries:
        judged = entry.evaluation and entry.evaluation.model_copy(update={"open_set": found})
        entries.append(entry.model_copy(update={"evaluation": judged}))
    return run.model_copy(update={"entries": tuple(entries)})


def test_the_report_shows_whom_each_artifact_lets_through(tmp_path: Path):
    near = picture(tmp_path / "moon.png", (200, 120, 20))
    run = gated(sample_run(tmp_path, TWELVE), gate(near, 3))
    page = write_report(run, tmp_path).read_text().replace("\u00a0", " ")
    section = page[page.index('id="open-set"') : page.index('id="figures"')]
    assert section.count("<b>25.0 %</b>") == 3 * len(
        [each for each in run.entries if each.evaluation]
    )
    assert section.count(">new</span>") == 2  # once in the words above the table
    assert section.count(">in training</span>") == 1
    assert "are discs, plain images and screens among others" in section
    assert "98.0 %" in section and "40.0 %" in section and "0.875" in section
    worst = page[page.index('id="mistakes"') : page.index('id="disagreements"')]
    assert worst.count("moon.png, truth moon") == 2
    assert "0.991" in worst
    assert worst.count("3 of 12, 1 shown.") == 2


@pytest.mark.parametrize(("accepted", "said"), [(0, True), (3, False)])
def test_that_no_near_miss_is_let_through_is_said_of_all_of_them(
    tmp_path: Path, accepted: int, said: bool
):
    run = gated(sample_run(tmp_path, TWELVE), gate(None, accepted))
    page = write_report(run, tmp_path).read_text()
    assert ("It lets no near miss through." in page) is said
    assert ("3 of 12, 0 shown." in page) is not said


def test_a_run_without_gates_has_the_mistakes_and_no_open_set(tmp_path: Path):
    run = sample_run(tmp_path, TWELVE)
    assert '"open_set":null' in run.model_dump_json()
    before = run.model_dump_json().replace('"open_set":null,', "")
    page = write_report(RunResult.model_validate_json(before), tmp_path).read_text()
    assert 'id="open-set"' not in page
    assert "lets no near miss through" not in page
    assert 'id="mistakes"' in page


def test_the_worst_mistakes_are_the_surest_wrong_answers(tmp_path: Path):
    images = [picture(tmp_path / f"{n:03}.png", (90, 60, 30), seed=n) for n in range(30)]
    run = sample_run(tmp_path, TWELVE, images=images)
    page = write_report(run, tmp_path).read_text()
    worst = page[page.index('id="mistakes"') : page.index('id="disagreements"')]
    parts = worst.split("<h3>")[1:]
    assert len(parts) == 2
    for part in parts:
        shown = [float(each.split("</strong> ")[1][:5]) for each in part.split("answer ")[1:]]
        assert shown == sorted(shown, reverse=True)
        assert all(each > 0.5 for each in shown)


def test_the_terminal_tells_what_a_gate_lets_through(tmp_path: Path):
    rows = result_rows(gated(sample_run(tmp_path, TWELVE), gate(None, 3)))
    assert rows[0]["lets through"].startswith("0.980 (")
    assert rows[0]["false accepts, near misses"].startswith("0.250 (")
    assert "false accepts, others" not in rows[0]


# The example ---------------------------------------------------------------------------------


def test_the_near_misses_of_the_example_are_groups_of_varied_images(tmp_path: Path):
    pytest.importorskip("skimage")
    example = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "near_misses.py"))
    example["write_groups"](tmp_path / "near", images=2, seed=3)
    found = near_misses.listed(tmp_path / "near")
    groups = {group for _, group in found}
    assert groups >= {"external-eye", "moon", "oct-scan", "orange", "photograph", "skin-lesion"}
    contents = [Path(file).read_bytes() for file, _ in found]
    assert len(set(contents)) == len(contents)
    moons = [example["DRAWN"]["moon"](np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert np.array_equal(moons[0], moons[1])
    assert moons[0].shape != moons[2].shape or not np.array_equal(moons[0], moons[2])
