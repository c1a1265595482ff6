"""Errors that can be read whatever values are in them."""

from relevance.errors import LINE, UserError, first_line, shorten


def test_a_line_that_a_value_made_long_keeps_its_start_and_its_end():
    error = UserError(f"task={'x' * 10_000_000}: use one of query_item\nsecond line")
    first, second = str(error).splitlines()
    assert (first[:6], first[-24:], second) == ("task=x", "x: use one of query_item", "second line")
    assert LINE < len(first) < LINE + 100
    assert " … 9,996,028 characters … " in first
    assert len(first_line(ValueError("x" * 10_000_000))) < LINE + 100


def test_what_is_short_is_left_alone():
    assert str(UserError("a\nb\n")) == "a\nb\n"
    assert (shorten("usb"), shorten(None), len(shorten("x" * 1000))) == ("'usb'", "null", 100)
