"""Numbers, sizes and times are written one way."""

from __future__ import annotations

import pytest

from pupila_flows.report import formatting


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (formatting.percent(0.9533), "95.3 %"),
        (formatting.percent(float("nan")), "–"),
        (formatting.points(-0.0093), "−0.9"),
        (formatting.size(837_412), "837 KB"),
        (formatting.size(59_414_112), "59.4 MB"),
        (formatting.size(999_999), "1.00 MB"),
        (formatting.size(12), "12 B"),
        (formatting.count(3_415_586), "3.42 M"),
        (formatting.count(None), "–"),
        (formatting.milliseconds(0.4567), "0.457 ms"),
        (formatting.milliseconds(212.4), "212 ms"),
        (formatting.smaller(59_400_000, 837_000), "71× smaller than"),
        (formatting.smaller(1_265_120, 1_322_900), "about as large as"),
        (formatting.smaller(1_000_000, 1_500_000), "1.5× larger than"),
        (formatting.ratio(10, 0), "–"),
        (formatting.duration(0.44), "0.4 s"),
        (formatting.duration(754.2), "12 min 34 s"),
        (formatting.duration(7500), "2 h 05 min"),
        (formatting.moment("2026-11-25T01:25:30+00:00"), "25 November 2026, 01:25 UTC"),
        (formatting.moment("soon"), "soon"),
        (formatting.listed(["a", "b", "c"]), "a, b and c"),
    ],
)
def test_numbers_are_written_one_way(written: str, expected: str) -> None:
    assert written.replace("\u00a0", " ") == expected
