"""Messages with many names stay short."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from pupila.chance import check_chance
from pupila.errors import PupilaError, check_class, join_names, list_names, nearest, unknown_class
from pupila.metrics import check_answers
from pupila.spec import OutputSpec
from pupila.task import methods_of

CLASSES = tuple(f"class {number}" for number in range(5_000))
SHORT = 1_000


def test_long_lists_are_shortened():
    assert list_names("abc") == "['a', 'b', 'c']"
    assert join_names("abc") == "a, b, c"
    assert join_names([]) == ""
    assert list_names(range(2_000)) == f"{list(range(20))} and 1,980 more"
    assert join_names(range(21)) == f"{', '.join(map(str, range(20)))} and 1 more"


def test_messages_about_thousands_of_classes_are_short():
    spec = OutputSpec(kind="softmax", classes=CLASSES)
    messages = [
        unknown_class("positive", "clas 7", CLASSES),
        methods_of(spec.task).misfit(spec, np.zeros((1, 1), np.float32), 1) or "",
    ]
    with pytest.raises(ValidationError, match="two classes") as refused:
        OutputSpec(kind="sigmoid", classes=CLASSES)
    messages.append(refused.value.errors()[0]["msg"])
    for labels in ([7_000], [-1]):
        with pytest.raises(PupilaError) as outside:
            check_answers(np.zeros((1, len(CLASSES))), labels, CLASSES, "test")
        messages.append(str(outside.value))
        with pytest.raises(PupilaError) as outside:
            check_chance(np.zeros((1, len(CLASSES))), labels, CLASSES)
        messages.append(str(outside.value))
    for message in messages:
        assert "'class 0'" in message
        assert "4,980 more" in message
        assert len(message) < SHORT


def test_a_field_with_an_unknown_class_is_refused_with_the_nearest():
    check_class("positive", "glaucoma", ("glaucoma", "normal"))
    message = r"positive is 'glaucom', .* \['glaucoma', 'normal'\]\. Did you mean 'glaucoma'\?"
    with pytest.raises(PupilaError, match=message):
        check_class("positive", "glaucom", ("glaucoma", "normal"))


def test_the_nearest_name_may_be_written_in_other_case():
    assert nearest("TEST", ("train", "test")) == " Did you mean 'test'?"
    assert nearest("tset", ("Train", "Test")) == " Did you mean 'Test'?"
    for known in (("code", "CODE"), ("CODE", "code")):
        assert nearest("cod", known) == " Did you mean 'code'?"
        assert nearest("COD", known) == " Did you mean 'CODE'?"
