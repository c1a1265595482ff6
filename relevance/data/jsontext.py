"""Columns → the JSON of their values, without a Python loop over rows.

left=["usb", null], score=[0.5, NaN] → {"left": "usb", "score": 0.5} and {"left": null, "score": null}: JSON has no word
for NaN and the infinite
"""

import json

import pyarrow as pa
import pyarrow.compute as pc

CONTROL = {chr(code): json.dumps(chr(code))[1:-1] for code in range(32)}


def lines(table: pa.Table) -> pa.Array:
    """[N], an object for each row, with its line break."""
    parts: list[pa.Array | str] = []
    for name in table.column_names:
        parts += [f"{', ' if parts else '{'}{json.dumps(name, ensure_ascii=False)}: "]
        parts += [pc.fill_null(encoded(table[name]), "null").combine_chunks()]
    return pc.binary_join_element_wise(*parts, "}\n", "")


def encoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """[N], the JSON of each value; null stays null. Dates, times and decimals are texts, as JSON knows neither."""
    kind = column.type
    if pa.types.is_string(kind):
        return _quoted(column)
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind):
        return column.cast(pa.string())
    if pa.types.is_floating(kind):
        return pc.if_else(pc.is_finite(column), column, None).cast(pa.string())
    if pa.types.is_nested(kind):  # rare, and Arrow has no way: value by value
        values = [
            None if value is None else json.dumps(value, ensure_ascii=False, default=str)
            for value in column.to_pylist()
        ]
        return pa.chunked_array([values], pa.string())
    return _quoted(column.cast(pa.string()))


def _quoted(text: pa.ChunkedArray) -> pa.ChunkedArray:
    text = pc.replace_substring(pc.replace_substring(text, "\\", "\\\\"), '"', '\\"')
    if pc.any(pc.match_substring_regex(text, r"[\x00-\x1f]")).as_py():
        for character, escape in CONTROL.items():
            text = pc.replace_substring(text, character, escape)
    return pc.binary_join_element_wise('"', text, '"', "")
