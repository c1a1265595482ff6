"""The text of a JSON list → its entries; one that nests deeper than Python can follow is marked, not the whole list.

[{"id": 1}, {"id": [[[[…]]]]}] → [{"id": 1}, Deep("{\\"id\\": [[[[…")]
"""

import json
import re
from collections.abc import Iterator
from typing import Any

DEEP_PROBLEM = "entry is nested too deeply"
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},]', re.DOTALL)


class Deep(str):
    """The text of an entry that is nested too deeply."""


def json_entries(text: str, **parsing: Any) -> Any:
    """What json.loads gives, with a Deep for each entry of a list that it cannot follow."""
    try:
        return json.loads(text, **parsing)
    except RecursionError:
        if not text.lstrip().startswith("["):
            raise
    return [_entry(entry, parsing) for entry in _split(text)]


def _entry(text: str, parsing: dict[str, Any]) -> Any:
    try:
        return json.loads(text, **parsing)
    except RecursionError:
        return Deep(text)


def _split(text: str) -> Iterator[str]:
    """The texts of a list's entries; raises ValueError for a list that is not closed."""
    depth, start, some = 0, text.index("[") + 1, False
    for token in TOKEN.finditer(text):
        sign = token[0]
        if sign in "[{":
            depth += 1
        elif sign in "]}":
            depth -= 1
        if (sign == "," and depth == 1) or depth == 0:
            entry = text[start : token.start()]
            if entry.strip() or some or sign == ",":
                yield entry
            some, start = True, token.end()
        if depth == 0:
            if text[start:].strip():
                raise ValueError("something stands behind the list")
            return
    raise ValueError("maximum recursion depth exceeded in a list that is not closed")
