from __future__ import annotations

from collections import Counter

import pytest

from pupila import Dataset, PupilaError
from pupila_quantize.calibration import choose_rows


def of_sizes(dataset, *sizes):
    """Return that many training images of each class."""
    train = dataset.select("train").frame
    wanted = dict(zip(dataset.classes, sizes, strict=True))
    rank = train.groupby("label").cumcount()
    return Dataset.of(train[rank < train["label"].map(wanted)], dataset.classes, dataset.cache)


@pytest.mark.parametrize(
    ("sizes", "count", "expected"),
    [
        ((12, 12), 10, {0: 5, 1: 5}),
        ((12, 12), 24, {0: 12, 1: 12}),
        ((12, 2), 10, {0: 8, 1: 2}),
        ((12, 12), 1000, {0: 12, 1: 12}),
        ((12, 0), 10, {0: 10}),
        ((2, 1), 2, {0: 1, 1: 1}),
    ],
)
def test_images_are_drawn_evenly_from_the_classes(sizes, count, expected, dataset):
    train = of_sizes(dataset, *sizes)
    rows = choose_rows(train, count, seed=3)
    assert len(set(rows)) == len(rows)
    assert Counter(train.labels[rows].tolist()) == expected


def test_one_seed_chooses_the_same_images_and_another_others(dataset):
    train = dataset.select("train")
    assert choose_rows(train, 10, 0) == choose_rows(train, 10, 0)
    assert choose_rows(train, 10, 0) != choose_rows(train, 10, 1)


@pytest.mark.parametrize(("sizes", "count"), [((4, 5), 100), ((1, 2), 4)])
def test_too_few_images_are_refused_with_their_number(sizes, count, dataset):
    with pytest.raises(PupilaError, match=f"at least {min(count, 10)} .* are {sum(sizes)}:"):
        choose_rows(of_sizes(dataset, *sizes), count, seed=0)


def test_calibration_reads_no_test_images(quantized, monkeypatch):
    splits = []
    select = Dataset.select

    def listen(self, split):
        splits.append(split)
        return select(self, split)

    monkeypatch.setattr(Dataset, "select", listen)
    quantized("quantize-int8", calibration_images=10)
    assert splits == ["train", "validation"]
