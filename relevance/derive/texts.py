"""Texts of the inputs → forms in which equal ones meet, and the text that a template makes of an item's columns.

"Coffee  &  Tables" → spaced "Coffee & Tables", folded "coffee & tables", as the name of a type "coffee and table"
"{title}, {brand} ({colour})" of title="USB-C cable", brand=null, colour="black" → "USB-C cable (black)": what stands
before an empty field goes with it, and so does a bracket around it
ids " 12 ", "12." and "12.00" are "12"; "007", "7" and "1e3" stay apart: a zero and an exponent may be part of a code
"""

import ast
import json
import re
import unicodedata
from collections.abc import Iterator
from string import Formatter
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relevance.data.contract import as_text, blank
from relevance.errors import UserError

Texts: TypeAlias = pa.Array | pa.ChunkedArray
WHITE = r"[\t-\r\x1c-\x1f\x{85}\p{Z}]"
UNTIDY = r"^ | $|  |[\t-\r\x1c-\x1f\x{85}]|[^ \PZ]"
WHOLE = r"^(-?(?:0|[1-9][0-9]*))\.0*$"  # a whole number as floats and decimals are written
LISTED = r"(?s)^\s*(?:(?:array\()?\[\s*['\"\[{]|\(\s*['\"].*['\"],?\s*\)\s*$)"  # a list written as text
QUOTED = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
QUOTED_LIST = re.compile(
    rf"(?:array\()?\s*[\[(]\s*((?:{QUOTED})(?:[\s,]+(?:{QUOTED}))*)[\s,]*[\])](?:[,\s]*dtype=\w+)?\)?", re.DOTALL
)
NAMED = 20  # ids looked at for a remedy
WORDS = "nan nat <na> none null nil undefined \\n #n/a n/a n.a. #null! (none) (null) [] {} '' \"\" - -- – —"
ABSENT = pa.array(["", *WORDS.split()])  # what programs and spreadsheets write for nothing, in small letters
BRACKETS = {"(": ")", "[": "]"}


def spaced(text: Texts) -> Texts:
    """One blank for every run of white space, none at the ends."""
    if not pc.any(pc.match_substring_regex(text, UNTIDY)).as_py():  # most columns, and to look is six times faster
        return text
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(text, f"{WHITE}+", " "))


def as_ids(text: Texts) -> Texts:
    """The texts of a column of ids: equal for one whole number in any writing."""
    return pc.replace_substring_regex(spaced(text), WHOLE, r"\1")


def as_id(text: str) -> str:
    return re.sub(WHOLE, r"\1", text)


def listed(text: str) -> list | None:
    """The list that a cell holds as text, as Python, JSON or NumPy write it; None where it holds none."""
    for read in (json.loads, _quoted, ast.literal_eval):
        try:
            value = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        return value if isinstance(value, list) else None
    return None


def _quoted(text: str) -> list[str]:
    """Texts of a list in quotes; NumPy puts no commas between them, of which Python would make one text."""
    if (texts := QUOTED_LIST.fullmatch(text.strip())) is None:
        raise ValueError(text)
    return [ast.literal_eval(quoted) for quoted in re.findall(QUOTED, texts[1], re.DOTALL)]


def near_id(wrong: Texts, known: Texts, where: str) -> str:
    """ "items.csv has '12' for '0012': write ids alike; or " where zeros, exponent, case or width alone differ."""
    of = {_loose(text): text for text in known.to_pylist() if text is not None}
    pairs = ((text, of.get(_loose(text))) for text in pc.unique(wrong.drop_null()).to_pylist()[:NAMED])
    return next((f"{where} has {near!r} for {text!r}: write ids alike; or " for text, near in pairs if near), "")


def _loose(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).casefold()
    try:
        number = float(text.replace(",", "."))
        return str(int(number)) if number.is_integer() else text
    except (ValueError, OverflowError):
        return "".join(text.split())


def absent(text: Texts) -> Texts:
    """[N], whether a cell holds nothing, or a word that programs write for nothing."""
    return pc.fill_null(pc.or_(blank(text), pc.is_in(pc.utf8_lower(text), ABSENT)), True)


def folded(text: Texts) -> Texts:
    """Without a difference of case, width or composition (Unicode's NFKC)."""
    return pc.utf8_lower(pc.utf8_normalize(text, "NFKC"))


def type_name(text: Texts) -> Texts:
    """Without punctuation and the plurals of English words: names of types that mean the same."""
    text = pc.replace_substring_regex(folded(text), r"\s*[&+]\s*", " and ")
    text = spaced(pc.replace_substring_regex(text, r"[^\p{L}\p{N}]+", " "))
    for pattern, singular in ((r"ies\b", "y"), (r"(ss|x|z|ch|sh)es\b", r"\1"), (r"([^su])s\b", r"\1")):
        text = pc.replace_substring_regex(text, pattern, singular)
    return text


def repeats(table: pa.Table, key: str, others: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """[N] whether an earlier row has the same `key`, [N] whether the first of these differs in `others`."""
    codes = [
        table[name].combine_chunks().dictionary_encode("encode").indices.to_numpy(zero_copy_only=False)
        for name in (key, *others)
    ]
    rows = np.arange(len(table))
    first = np.zeros(int(codes[0].max(initial=-1)) + 1, np.int64)
    first[codes[0][::-1]] = rows[::-1]  # the last one written is the first of the table
    lead = first[codes[0]]
    other = np.zeros(len(lead), bool)
    for code in codes[1:]:
        other |= code != code[lead]
    return lead != rows, other


def template_fields(template: str) -> list[str]:
    """The columns that a template names; raises UserError for one that names none or cannot be read."""
    try:
        parts = [(name, form or turned) for _, name, form, turned in Formatter().parse(template) if name is not None]
    except ValueError as cause:
        raise UserError(f"read.text={template}: {cause}; write columns in braces, {{title}}") from cause
    if not parts or not all(name for name, _ in parts):
        raise UserError(f"read.text={template}: names no column; write columns in braces, {{title}}")
    if formed := [name for name, form in parts if form]:
        raise UserError(f"read.text={template}: {{{formed[0]}}} has a format; write the column's name alone in braces")
    return list(dict.fromkeys(name for name, _ in parts))


def fill_template(template: str, table: pa.Table, name: str) -> pa.ChunkedArray:
    """The texts [N] of a table that has every column the template names; an error calls the table `name`."""
    text = pa.chunked_array([pa.repeat("", len(table))])
    for number, (before, field, after) in enumerate(_pieces(template)):
        lead: pa.ChunkedArray | str = before
        if number:  # what stands between two fields stands there alone where nothing comes before it
            lead = pc.if_else(blank(text), before[len(before.rstrip("([")) :], before)
        if field is None:
            piece = pc.if_else(blank(text), "", lead)
        else:
            value = _unlisted(as_text(table, field, name))
            piece = pc.if_else(blank(value), "", _joined(lead, value, after))
        text = _joined(text, piece)
    return spaced(text)


def _unlisted(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts [N]; of a list that is written as text its entries, one after another."""
    at = pc.fill_null(pc.match_substring_regex(column, LISTED), False)
    if not pc.any(at).as_py():
        return column
    texts = []
    for text in column.filter(at).to_pylist():
        entries = listed(text)
        plain = entries is not None and all(isinstance(entry, str | int | float) for entry in entries)
        texts.append(", ".join(map(str, entries or ())) if plain else text)
    replaced = pc.replace_with_mask(column.combine_chunks(), at.combine_chunks(), pa.array(texts, pa.string()))
    return pa.chunked_array([replaced])


def _pieces(template: str) -> Iterator[tuple[str, str | None, str]]:
    """Each field with the words before it and the bracket after it that closes one before it; words at the end."""
    words, names = [""], []
    for literal, name, _, _ in Formatter().parse(template):
        words[-1] += literal  # a doubled brace is a literal of its own
        if name is not None:
            names.append(name)
            words.append("")
    for at, name in enumerate(names):
        bracket = BRACKETS.get(words[at][-1:])
        after = bracket if bracket and words[at + 1].startswith(bracket) else ""
        words[at + 1] = words[at + 1].removeprefix(after)
        yield words[at], name, after
    yield words[-1], None, ""


def _joined(*texts: pa.ChunkedArray | str) -> pa.ChunkedArray:
    return pc.binary_join_element_wise(*texts, "")
