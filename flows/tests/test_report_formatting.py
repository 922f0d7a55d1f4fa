"""Numbers, sizes and times are written one way."""

from __future__ import annotations

import pytest

from pupila_flows.report import formatting as formats


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (formats.percent(0.9533), "95.3 %"),
        (formats.percent(float("nan")), "–"),
        (formats.points(-0.0093), "−0.9"),
        (formats.size(837_412), "837 KB"),
        (formats.size(59_414_112), "59.4 MB"),
        (formats.size(999_999), "1.00 MB"),
        (formats.size(12), "12 B"),
        (formats.count(3_415_586), "3.42 M"),
        (formats.count(None), "–"),
        (formats.milliseconds(0.4567), "0.457 ms"),
        (formats.milliseconds(212.4), "212 ms"),
        (formats.smaller(59_400_000, 837_000), "71× smaller than"),
        (formats.smaller(1_265_120, 1_322_900), "about as large as"),
        (formats.smaller(1_000_000, 1_500_000), "1.5× larger than"),
        (formats.ratio(10, 0), "–"),
        (formats.duration(0.44), "0.4 s"),
        (formats.duration(754.2), "12 min 34 s"),
        (formats.duration(7500), "2 h 05 min"),
        (formats.moment("2026-11-25T01:25:30+00:00"), "25 November 2026, 01:25 UTC"),
        (formats.moment("soon"), "soon"),
        (formats.listed(["a", "b", "c"]), "a, b and c"),
    ],
)
def test_numbers_are_written_one_way(written: str, expected: str) -> None:
    assert written.replace("\u00a0", " ") == expected
