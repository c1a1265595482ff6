"""Files that are no tables, as their publishers' tools write them → rows under our names.

"3237 - Animals > Live Animals" of Google's taxonomy → type="3237" parent="1" name="Live Animals"
{"queries": [{"query_text": "usb c", "ratings": [{"doc_id": 7, "rating": 2.0}]}]} → query="usb c" item_id=7 label=2.0,
of Quepid, RRE, OpenSearch or Elasticsearch
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from relevance.data.faults import Loaded
from relevance.data.readers import LINES
from relevance.data.text_files import Form, text_bytes, whole_text
from relevance.errors import UserError, shorten

Row: TypeAlias = dict[str, Any]
GOOGLE = "# Google_Product_Taxonomy_Version"
NUMBERED = re.compile(r"([0-9]+) - (.+)")
JOINT = " > "
RATINGS = "rows are the ratings of the file, counted from 1"
RATED = ("ratings", "relevant_documents", "judgements", "judgments")
TEXT = ("query_text", "queryText", "query", "search_term", "searchTerm", "keyword", "keywords", "text", "q")
QUERY_ID = ("query_id", "queryId", "id")
ITEM_ID = ("doc_id", "docId", "docid", "_id", "document_id", "documentId", "item_id", "product_id", "id")
GRADE = ("rating", "label", "gain", "grade", "relevance", "judgement", "judgment")
MATCHED = ("query", "value", "query_string", "keywords", "keyword", "q", "$query")  # keys of the text in a request


def is_google(path: Path, form: Form) -> bool:
    """Whether a file is Google's product taxonomy: by its comment, or by a first line such as "1 - Animals"."""
    with text_bytes(path, form) as file:
        first = file.readline(1000).decode(errors="replace")
    return first.startswith(GOOGLE) or NUMBERED.match(first) is not None


def google_tree(path: Path, form: Form) -> Loaded:
    """type, parent and name of each line; raises UserError for a file that is not UTF-8."""
    lines = whole_text(path, form).splitlines()
    entries: list[tuple[str, tuple[str, ...]]] = []
    rows = [at for at, line in enumerate(lines, start=1) if line.strip() and not line.startswith("#")]
    for row in rows:
        numbered = NUMBERED.fullmatch(lines[row - 1].strip())
        names = tuple(" ".join(name.split()) for name in (numbered[2] if numbered else lines[row - 1]).split(">"))
        entries.append((numbered[1] if numbered else JOINT.join(names), names))
    ids = {names: kind for kind, names in entries}
    parents = [ids.get(names[:-1], JOINT.join(names[:-1])) or None for _, names in entries]
    columns = [[kind for kind, _ in entries], parents, [names[-1] for _, names in entries]]
    texts = [pa.array(column, pa.string()) for column in columns]
    return Loaded(pa.table(texts, ["type", "parent", "name"]), np.array(rows, np.int64), (), LINES)


def nested_ratings(content: object) -> list[Row] | None:
    """A row for each rating in an export of queries, with all the file says of query and rating; None for what is none.

    Raises UserError where a list holds ratings in some entries alone.
    """
    if isinstance(content, list):
        parts = [nested_ratings(entry) for entry in content]
        if None in parts and any(part is not None for part in parts):
            shown = shorten(content[parts.index(None)])
            raise UserError(f"an entry holds no ratings, others of its list do: {shown}; add them or remove it")
    elif (
        isinstance(content, dict) and content and not {*RATED} & {*content} and all(map(_is_mapping, content.values()))
    ):
        parts = [[_known(query=q, query_id=q) | row for row in _graded(rated, {})] for q, rated in content.items()]
    elif isinstance(content, dict) and (rated := _rated(content)) is not None:
        queries = content.get("queries")
        queries = queries if isinstance(queries, list) else [content]
        return [_plain(content) | _query(query) | rating for query in queries for rating in _graded(rated, content)]
    elif isinstance(content, dict) and not _is_rating(content):
        parts = [part for value in content.values() if (part := nested_ratings(value)) is not None]
    else:
        return None
    return [row for part in parts for row in part or ()] if parts and None not in parts else None


def _rated(entry: Row) -> list | dict | None:
    """The ratings of a query."""
    if _is_rating(entry):
        return None
    named = [entry[name] for name in RATED if isinstance(entry.get(name), list | dict)]
    named = [rated for rated in named if not any(isinstance(e, dict) and _rated(e) is not None for e in rated)]
    return next(iter([*filter(None, named), *filter(_are_ratings, entry.values()), *named]), None)


def _is_rating(entry: object) -> bool:
    return isinstance(entry, dict) and None not in (_first(entry, ITEM_ID), _first(entry, GRADE))


def _are_ratings(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_rating, value))


def _is_mapping(value: object) -> bool:
    """Whether it is {item: grade} or a list of items with their grades."""
    names = {*TEXT, *QUERY_ID, *ITEM_ID, *GRADE}
    grades = isinstance(value, dict) and not names & {*value} and all(type(v) in (int, float) for v in value.values())
    return grades or _are_ratings(value)


def _plain(entry: Row) -> Row:
    return {name: value for name, value in entry.items() if not isinstance(value, dict | list)}


def _query(entry: Row) -> Row:
    """The text and the id of a query; of a request without one text, its id stands for both."""
    text, name = _first(entry, TEXT), _first(entry, QUERY_ID)
    request = entry.get("placeholders") or entry.get("params") or entry.get("request")
    if text is None and request:
        texts = list(dict.fromkeys(_texts(request)))
        text = texts[0] if len(texts) == 1 else name
    return _known(query=name if text is None else text, query_id=name)


def _known(**values: Any) -> Row:
    return {name: value for name, value in values.items() if value is not None}


def _texts(request: object, key: str = "", within: str = "") -> Iterator[str]:
    """What a request looks for: {"query": {"match": {"title": "usb c"}}} → "usb c"."""
    if isinstance(request, dict):
        for name, value in request.items():
            yield from _texts(value, name, key)
    elif isinstance(request, list):
        for value in request:
            yield from _texts(value, key, "")
    elif isinstance(request, str) and (key in MATCHED or within.startswith("match")):
        yield request


def _graded(rated: list | dict, entry: Row) -> Iterator[Row]:
    """Items and their grades: a list of both, {item: grade}, {item: {"gain": grade}} or {grade: [items]}."""
    for rating in rated if isinstance(rated, list) else ():
        rating = rating if isinstance(rating, dict) else {"rating": rating}
        item = _first(rating, ITEM_ID[:-1] if "doc_id" in entry else ITEM_ID)
        item = entry.get("doc_id") if item is None else item
        yield _plain(rating) | _known(item_id=item, label=_first(rating, GRADE))
    for name, value in rated.items() if isinstance(rated, dict) else ():
        if isinstance(value, list):
            yield from ({"item_id": item, "label": name} for item in value)
        else:
            yield {"item_id": name, "label": _first(value, GRADE) if isinstance(value, dict) else value}


def _first(entry: Row, names: tuple[str, ...]) -> Any:
    return next((entry[name] for name in names if entry.get(name) is not None), None)
