"""Columns → the text of an item."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relevance.derive.texts import fill_template, template_fields
from relevance.errors import UserError

WORDS = st.one_of(st.none(), st.text("ab (.", max_size=5))
EXAMPLES = {
    "{title}": (("Cable", None, None), "Cable"),
    "{title}. {brand}": (("Cable", "Volt", None), "Cable. Volt"),
    "{title} - {brand}": ((None, "Volt", None), "Volt"),
    "{title}, {brand} ({colour})": (("Cable", " ", "black"), "Cable (black)"),
    "{title}, {brand} ({colour}) ": (("Cable", "Volt", None), "Cable, Volt"),
    "{title} [{brand}], {colour}": (("Cable", None, "black"), "Cable, black"),
    "{title}: {brand} ({colour})": ((None, None, "black"), "(black)"),
    "Title: {title}; brand: {brand}.": (("Cable", None, None), "Title: Cable."),
    "Title: {title}.": ((None, "Volt", "black"), ""),
    "{{{title}}} {title}": (("Cable", None, None), "{Cable} Cable"),
}


def text(template, *values):
    names = ("title", "brand", "colour")
    table = pa.table({name: pa.array([value], pa.string()) for name, value in zip(names, values, strict=True)})
    return fill_template(template, table, "items.csv")[0].as_py()


@pytest.mark.parametrize("template", EXAMPLES)
def test_what_stands_around_an_empty_field_goes_with_it(template):
    values, wanted = EXAMPLES[template]
    assert text(template, *values) == wanted


@given(WORDS, WORDS, WORDS)
def test_where_all_fields_are_empty_so_is_the_text_and_no_value_is_lost(title, brand, colour):
    values = [" ".join((value or "").split()) for value in (title, brand, colour)]
    made = text("The {title} of {brand} ({colour})!", title, brand, colour)
    assert bool(made) == any(values)
    assert all(value in made for value in values)


def test_the_columns_are_those_in_braces():
    assert template_fields("{title} {brand} {title} {category hierarchy}") == ["title", "brand", "category hierarchy"]


@pytest.mark.parametrize("template", ["title", "{}", "", "{title", "}", "{title!r}", "{title:>9}", "{title} {}"])
def test_a_template_that_cannot_be_read_is_an_error(template):
    with pytest.raises(UserError, match=r"read\.text=.*; write "):
        template_fields(template)


def test_a_list_is_no_text():
    with pytest.raises(UserError, match=r"items\.csv: column tags has type list"):
        fill_template("{tags}", pa.table({"tags": [["a"]]}), "items.csv")
