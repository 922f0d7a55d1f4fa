from __future__ import annotations

import numpy as np

from pupila_search.selection import crowding, fronts, rank, tournament


def test_no_candidate_of_a_front_is_dominated_by_one_of_a_later_front():
    points = [(1, 5), (2, 2), (5, 1), (3, 3), (6, 6), (2, 2)]
    assert fronts(points) == [[0, 1, 2, 5], [3], [4]]


def test_fronts_are_those_of_the_definition():
    points = np.random.default_rng(0).integers(0, 6, (40, 3))

    def dominated(one, others):
        return any(
            (points[o] <= points[one]).all() and (points[o] < points[one]).any() for o in others
        )

    left = set(range(len(points)))
    for front in fronts(points):
        assert front == [one for one in sorted(left) if not dominated(one, left)]
        left -= set(front)
    assert not left


def test_extremes_are_kept_and_the_crowded_come_last():
    points = [(0, 10), (1, 9), (1.1, 8.9), (5, 5), (10, 0)]
    apart = crowding(points)
    assert np.isinf(apart[[0, 4]]).all()
    assert np.argmin(apart) in (1, 2)
    assert set(rank(points)[:3]) == {0, 4, 3}


def test_what_was_not_measured_counts_as_the_worst_that_was():
    points = [(0, 10, 3), (1, 9, np.inf), (5, 5, np.inf), (10, 0, 1)]
    known = [(*point[:2], min(point[2], 3)) for point in points]
    assert crowding(points).tolist() == crowding(known).tolist()
    assert crowding([(1, np.inf), (2, np.inf), (3, np.inf)]).tolist() == [np.inf, 1, np.inf]


def test_equal_candidates_are_allowed():
    assert sorted(rank([(1, 1)] * 3)) == [0, 1, 2]
    assert rank([(1, 1)]) == [0]


def test_the_better_of_two_wins_a_tournament():
    random = np.random.default_rng(0)
    drawn = [tournament([7, 3, 5, 1], random) for _ in range(2000)]
    counts = [drawn.count(number) / 2000 for number in (7, 3, 5, 1)]
    assert np.allclose(counts, [7 / 16, 5 / 16, 3 / 16, 1 / 16], atol=0.04)
