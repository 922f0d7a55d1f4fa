"""Which names may be part of a file's name and of an address."""

import pytest

from pupila.names import lower_case_name_fault, name_fault


@pytest.mark.parametrize("name", ["a", "0", "Net_1.5-x", "n" * 64])
def test_a_name_of_letters_digits_and_some_signs_is_taken(name: str) -> None:
    assert name_fault(name) is None


@pytest.mark.parametrize("name", ["", "n" * 65, ".net", "-net", "a b", "../net", "né", "net\n"])
def test_any_other_name_is_refused(name: str) -> None:
    assert "at most 64" in (name_fault(name) or "")
    assert "at most 64" in (lower_case_name_fault(name) or "")


@pytest.mark.parametrize("name", ["Net", "net.1", "net_1"])
def test_a_lower_case_name_has_no_capitals_dots_and_underscores(name: str) -> None:
    assert name_fault(name) is None
    assert "lower-case" in (lower_case_name_fault(name) or "")
