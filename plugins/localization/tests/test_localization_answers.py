"""Raw outputs as answers, and which answers are right or the same."""

from __future__ import annotations

import numpy as np
import pytest

from pupila import OutputSpec, PupilaError, Threshold
from pupila.task import MetricSettings, methods_of
from pupila_localization.figures import quantile

TASK = methods_of("localization")
NAMES = ("disc",)


def heat_map(*size, names=NAMES):
    return OutputSpec(task="localization", kind="heat-map", classes=names, size=size)


def coordinates(columns, names=NAMES):
    return OutputSpec(task="localization", kind="coordinates", classes=names, size=(columns,))


def peak(row, column, rows=6, columns=8, height=60.0, parts=3):
    """Return a raw heat map with one peak, half sizes of 5 and 10 percent, and nowhere at 0."""
    numbers = np.zeros((rows, columns, parts), np.float32)
    numbers[row, column, 0] = height
    numbers[..., 1:3] = np.log(np.expm1([5, 10]))
    return numbers.reshape(1, -1)


def test_a_peak_is_the_middle_of_its_cell():
    answers = TASK.answers(heat_map(6, 8, 3), peak(4, 2))
    assert answers.dtype == np.float32
    np.testing.assert_allclose(answers, [[2.5 / 8, 4.5 / 6, 0.05, 0.1, 1]], rtol=1e-5)


def test_between_two_equal_peaks_the_answer_is_finer_than_the_map():
    numbers = np.maximum(peak(4, 2), peak(4, 3))
    np.testing.assert_allclose(TASK.answers(heat_map(6, 8, 3), numbers)[0, :2], [3 / 8, 4.5 / 6])


@pytest.mark.parametrize(("height", "presence"), [(60, 1), (-60, 0), (0, 48 / 49)])
def test_nowhere_is_one_more_cell_of_the_softmax(height, presence):
    numbers = peak(0, 0, height=0, parts=4).reshape(6, 8, 4)
    numbers[..., 0] += height
    answers = TASK.answers(heat_map(6, 8, 4), numbers.reshape(1, -1))
    np.testing.assert_allclose(answers[0, 4], presence, atol=1e-6)


def test_channels_are_those_of_one_name_after_the_other():
    numbers = np.concatenate(
        [peak(1, 1).reshape(6, 8, 3), peak(4, 6).reshape(6, 8, 3)], axis=-1
    ).reshape(1, -1)
    answers = TASK.answers(heat_map(6, 8, 6, names=("disc", "fovea")), numbers)
    np.testing.assert_allclose(answers[0, [0, 1, 5, 6]], [1.5 / 8, 1.5 / 6, 6.5 / 8, 4.5 / 6])
    assert TASK.answer_columns(("disc", "fovea"))[4:6] == ("disc_presence", "fovea_x")
    assert TASK.columns_of(("disc", "fovea"), ("fovea", "disc"))[:2] == [5, 6]


@pytest.mark.parametrize(
    ("numbers", "answer"),
    [
        ([0.2, 0.3, 0.1, 0.2], [0.2, 0.3, 0.1, 0.2, 1]),
        ([0.2, 0.3, 0.1, -0.2, 1.1], [0.2, 0.3, 0.1, 1e-6, 1]),
    ],
)
def test_coordinates_are_answers_already(numbers, answer):
    spec = coordinates(len(numbers))
    np.testing.assert_allclose(TASK.answers(spec, np.array([numbers], np.float32)), [answer])


@pytest.mark.parametrize(
    ("spec", "outputs", "said"),
    [
        (heat_map(6, 8, 3), peak(1, 1), None),
        (heat_map(6, 8, 3), np.full((1, 144), np.nan), "numbers that are NaN or infinite"),
        (heat_map(6, 8, 3), np.zeros((1, 48)), r"expected a heat map of size (6, 8, 3), 144 fin"),
        (heat_map(6, 8, 2), np.zeros((1, 96)), "of size (rows, columns, 3 or 4)"),
        (heat_map(144), np.zeros((1, 144)), "declared as 'heat-map' of size (144,)"),
        (coordinates(3), np.zeros((1, 3)), "of size (4,) or (5,)"),
        (coordinates(4), np.array([[120.0, 80, 9, 9]]), "positions far outside of the image to 1"),
        (coordinates(4), np.array([[0.5, 0.4, 0.1, 0.1]]), None),
    ],
)
def test_outputs_that_do_not_fit_are_refused(spec, outputs, said):
    misfit = TASK.misfit(spec, outputs.astype(np.float32), 1)
    assert misfit is None if said is None else said in misfit


@pytest.mark.parametrize(
    ("kind", "shape", "said"),
    [
        ("heat-map", (4,), "gives (4,) for each image, and 'heat-map' of ['disc'] is (rows, colum"),
        ("heat-map", (16, 16, 2), "is (rows, columns, 3 or 4): correct `output` of the teacher."),
        ("coordinates", (16, 16, 3), "gives (16, 16, 3) for each image, and 'coordinates' of ['di"),
        ("coordinates", (2,), "is (4,) or (5,): correct `output` of the teacher."),
    ],
)
def test_a_model_file_with_another_output_is_refused(kind, shape, said):
    output = OutputSpec(task="localization", kind=kind, classes=NAMES)
    with pytest.raises(PupilaError) as caught:
        TASK.declared(output, shape)
    assert said in str(caught.value)


def test_another_kind_is_refused():
    spec = OutputSpec(task="localization", kind="softmax", classes=NAMES, size=(4,))
    misfit = TASK.misfit(spec, np.zeros((1, 4), np.float32), 1)
    assert "expected 'heat-map' or 'coordinates'" in str(misfit)


THERE = [0.5, 0.5, 0.1, 0.2, 1, 0.5]  # a radius of .1 widths
ABSENT = [np.nan] * 4 + [0, 0.5]


@pytest.mark.parametrize(
    ("answer", "truth", "right"),
    [
        ([0.5, 0.5, 0.1, 0.1, 1], THERE, True),
        ([0.599, 0.5, 0.1, 0.1, 1], THERE, True),
        ([0.601, 0.5, 0.1, 0.1, 1], THERE, False),
        ([0.5, 0.699, 0.1, 0.1, 1], THERE, True),
        ([0.5, 0.701, 0.1, 0.1, 1], THERE, False),
        ([0.5, 0.5, 0.1, 0.1, 0.4], THERE, False),
        ([0.5, 0.5, 0.1, 0.1, 0.4], ABSENT, True),
        ([0.5, 0.5, 0.1, 0.1, 0.6], ABSENT, False),
    ],
)
def test_right_is_within_one_radius_in_units_of_the_width(answer, truth, right):
    assert TASK.right(np.array([answer]), np.array([truth]), NAMES).tolist() == [right]


def test_a_shipped_threshold_decides_presence():
    threshold = Threshold(positive="disc", value=0.3, chosen_on="validation")
    answer, truth = np.array([[0.5, 0.5, 0.1, 0.1, 0.4]]), np.array([THERE])
    assert TASK.right(answer, truth, NAMES, threshold).all()


@pytest.mark.parametrize(
    ("answer", "same"),
    [
        ([0.5, 0.5, 0.3, 0.3, 1], True),
        ([0.549, 0.5, 0.1, 0.1, 1], True),
        ([0.551, 0.5, 0.1, 0.1, 1], False),
        ([0.5, 0.599, 0.1, 0.1, 1], True),
        ([0.54, 0.58, 0.1, 0.1, 1], False),
        ([0.5, 0.5, 0.1, 0.1, 0], False),
    ],
)
def test_the_same_is_within_half_the_half_sizes(answer, same):
    other = np.array([[0.5, 0.5, 0.1, 0.2, 1]])
    assert TASK.same(np.array([answer]), other).tolist() == [same]


def test_two_models_that_say_absent_agree_wherever_they_point():
    ours, theirs = np.array([[0.1, 0.1, 0.1, 0.1, 0.2]]), np.array([[0.9, 0.9, 0.1, 0.1, 0.1]])
    assert TASK.same(ours, theirs).all()
    assert TASK.comparable(ours).tolist() == [[0.1, 0.1, 0.1, 0.1]]
    assert TASK.divergence(ours, ours).tolist() == [0]


def test_answers_are_described_in_a_few_words():
    assert TASK.describe(np.array(THERE[:5]), NAMES) == (
        "disc at 50.0%, 50.0%, half size 10.0% x 20.0%"
    )
    assert TASK.describe_truth(np.array(ABSENT), NAMES) == "no disc"
    assert TASK.describe_truth(np.full(6, np.nan), NAMES) == "disc unknown"


# Metrics ---------------------------------------------------------------------------------------


def shifted(errors):
    """Return answers that are off by some fractions of the width, and their truths."""
    truths = np.tile(np.array(THERE), (len(errors), 1))
    answers = truths[:, :5].copy()
    answers[:, 0] += errors
    return answers, truths


def figures(answers, truths, **settings):
    metrics = TASK.metrics(answers, truths, MetricSettings(classes=NAMES, **settings))
    return metrics, {figure.name: figure for figure in metrics.figures}


def test_figures_have_their_values_and_intervals_round_them():
    errors = np.linspace(0, 0.119, 25)
    metrics, named = figures(*shifted(errors))
    assert metrics.accuracy.value == np.mean(errors <= 0.1)
    expected = {
        "error": 5.95,
        "error_p95": np.quantile(errors, 0.95) * 100,
        "error_in_radii": 0.595,
        "error_in_radii_p95": np.quantile(errors, 0.95) * 10,
        "within_half": np.mean(errors <= 0.05),
        "size_error": 0,
        "iou": np.mean((0.2 - errors) / (0.2 + errors)),
    }
    for name, value in expected.items():
        estimate = named[name].estimate
        assert estimate.value == pytest.approx(value, abs=1e-9), name
        assert estimate.low <= value + 1e-9 <= estimate.high + 2e-9, name
    assert named["error"].unit == "% of the width"
    assert named["error"].lower_is_better
    assert named["error"].estimate.low < 5.95 < named["error"].estimate.high
    assert metrics.patients is None
    assert "absent" not in named


def test_intervals_are_by_patient_where_known():
    answers, truths = shifted(np.repeat(np.linspace(0, 0.12, 5), 5))
    patients = np.repeat([f"p{number}" for number in range(5)], 5)
    alone, _ = figures(answers, truths)
    metrics, named = figures(answers, truths, patients=patients)
    assert metrics.patients == 5
    assert "by patient" in named["error"].estimate.method
    widths = [m.accuracy.high - m.accuracy.low for m in (alone, metrics)]
    assert widths[1] > widths[0]


def test_errors_are_those_of_images_where_it_is_and_absence_has_a_figure():
    answers, truths = shifted(np.full(4, 0.01))
    answers = np.concatenate([answers, [[0.1, 0.1, 0.1, 0.1, 0.2]] * 2 + [[0.1] * 4 + [0.9]]])
    truths = np.concatenate([truths, [ABSENT] * 3])
    metrics, named = figures(answers, truths)
    assert metrics.accuracy.value == 6 / 7
    assert named["error"].estimate.value == pytest.approx(1)
    assert named["absent"].estimate.value == pytest.approx(2 / 3)
    _, only = figures(answers[4:], truths[4:])
    assert list(only) == ["absent"]


def test_errors_are_distances_in_percent_of_the_width_up_to_half_a_radius():
    answers, truths = shifted(np.array([0, 0.01, 0.05, 0.3, 0.01]))
    answers[1, 1] += 0.01  # of the height, which is half the width: THERE has the aspect 0.5
    answers[4, 4] = 0.1  # whether it is there is a matter of `right`
    truths[0] = ABSENT
    errors, measure = TASK.errors(answers, truths), TASK.error_measure
    assert errors and measure
    distance = np.hypot(1, truths[1, 5])
    np.testing.assert_allclose(errors.values, [np.nan, distance, 5, 5, 1])
    np.testing.assert_allclose(errors.limits, [np.nan, 5, 5, 5, 5])
    assert errors.known.tolist() == [False, True, True, True, True]
    assert measure.unit == "% of the width"


def test_the_error_of_several_names_is_the_mean_over_those_that_are_there():
    disc, fovea = THERE[:5], [0.2, 0.3, 0.1, 0.2, 1]
    answers = np.array([[*disc, *fovea]] * 2)
    answers[:, 0] += 0.01
    answers[:, 5] += 0.03
    truths = np.array([[*disc, *fovea, THERE[5]], [*disc, *ABSENT[:5], THERE[5]]])
    errors = TASK.errors(answers, truths)
    assert errors
    np.testing.assert_allclose(errors.values, [2, 1])


def test_metrics_of_no_image_of_wrong_shapes_or_without_labels_are_refused():
    answers, truths = shifted(np.zeros(2))
    with pytest.raises(PupilaError, match="No test images to evaluate"):
        figures(answers[:0], truths[:0])
    with pytest.raises(PupilaError, match=r"expected \(2, 5\) and \(2, 6\)"):
        figures(answers[:, :4], truths)
    with pytest.raises(PupilaError, match="1 of 2 test images have no label"):
        figures(answers, np.stack([truths[0], np.full(6, np.nan)]))


@pytest.mark.parametrize("level", [0, 0.5, 0.95, 1])
def test_a_quantile_of_counts_is_that_of_the_repeated_values(level):
    random = np.random.default_rng(0)
    values, counts = random.normal(size=9), random.integers(0, 4, (20, 9)).astype(float)
    expected = [np.quantile(np.repeat(values, row.astype(int)), level) for row in counts]
    np.testing.assert_allclose(quantile(values, level, counts), expected)


def test_a_shipped_threshold_decides_what_is_there():
    answers = np.array([[0.3, 0.4, 0.1, 0.1, 0.6], [0.3, 0.4, 0.1, 0.1, 0.9]])
    shipped = Threshold(positive="disc", value=0.8, chosen_on="validation")
    decided = TASK.decided(answers, NAMES, shipped)
    assert TASK.describe(decided[0], NAMES) == "no disc"
    assert [len(TASK.marks(row, NAMES)) for row in decided] == [0, 1]
    assert TASK.same(decided, answers).tolist() == [False, True]


def test_a_mark_is_where_the_thing_is_and_as_large():
    (mark,) = TASK.marks(np.array([0.3, 0.4, 0.1, 0.2, 1.0, 0.75]), NAMES)
    assert (mark.x, mark.y, mark.half_width, mark.half_height) == (0.3, 0.4, 0.1, 0.2)
    assert not TASK.marks(np.array([np.nan] * 4 + [0.0, 0.75]), NAMES), "it is not there"
    assert not TASK.marks(np.array([np.nan] * 5 + [0.75]), NAMES), "nobody knows"
