"""Files that are no tables, as their publishers' tools write them → rows under our names.

"# Google_Product_Taxonomy_Version: 2021-09-21", "1 - Animals", "3237 - Animals > Live Animals"
    → type="3237" parent="1" name="Live Animals"; a file without ids: type="Animals > Live Animals" parent="Animals"
{"queries": [{"query_text": "usb c", "ratings": [{"doc_id": 7, "rating": 2.0}]}]} (Quepid)
    → query="usb c" item_id=7 label=2.0; so with the exports of RRE, OpenSearch and Elasticsearch
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

Row: TypeAlias = dict[str, Any]
GOOGLE = "# Google_Product_Taxonomy_Version"
NUMBERED = re.compile(r"([0-9]+) - (.+)")
JOINT = " > "
RATINGS = "rows are the ratings of the file, counted from 1"
QUERIES = ("queries", "query_doc_pairs", "requests", "judgmentRatings", "topics", "query_groups")
RATED = ("ratings", "relevant_documents", "judgements", "judgments")
TEXT = ("query_text", "queryText", "query", "search_term", "keyword")
QUERY_ID = ("query_id", "queryId", "id")
ITEM_ID = ("doc_id", "docId", "docid", "_id", "document_id", "item_id", "id")
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
    """query, query_id, item_id and label of each rating in an export of queries; None for what is none."""
    lists = [content[name] for name in QUERIES if name in content] if isinstance(content, dict) else [content]
    entries = [entry for found in lists if isinstance(found, list) for entry in found]
    if not entries or not all(isinstance(entry, dict) and _is_rated(entry) for entry in entries):
        return None
    return [row for entry in entries for row in _of_entry(entry)]


def _is_rated(entry: Row) -> bool:
    """Whether it holds ratings and says of what, or lists that do."""
    inner = [entry[name] for name in QUERIES if isinstance(entry.get(name), list)]
    named = _first(entry, (*TEXT, *QUERY_ID, "placeholders")) is not None
    return bool(inner) or (named and isinstance(_first(entry, RATED), list | dict))


def _of_entry(entry: Row) -> Iterator[Row]:
    rated = _first(entry, RATED)
    queries = entry.get("queries")
    for name in QUERIES if rated is None else ():
        for inner in entry.get(name) or ():
            yield from _of_entry(inner)
    for query in queries if rated is not None and isinstance(queries, list) else [entry]:
        for item, grade in _graded(rated, entry):
            yield _query(query) | {"item_id": item, "label": grade}


def _query(entry: Row) -> Row:
    """The text and the id of a query; of a request without one text, its id stands for both."""
    text, name = _first(entry, TEXT), _first(entry, QUERY_ID)
    request = entry.get("placeholders") or entry.get("params") or entry.get("request")
    if text is None and request:
        texts = list(dict.fromkeys(_texts(request)))
        text = texts[0] if len(texts) == 1 else name
    return {"query": text if text is not None else name, "query_id": name}


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


def _graded(rated: object, entry: Row) -> Iterator[tuple[object, object]]:
    """Items and their grades: a list of both, {item: grade}, {item: {"gain": grade}} or {grade: [items]}."""
    for rating in rated if isinstance(rated, list) else ():
        rating = rating if isinstance(rating, dict) else {"rating": rating}
        item = _first(rating, ITEM_ID[:-1] if "doc_id" in entry else ITEM_ID)
        yield item if item is not None else entry.get("doc_id"), _first(rating, GRADE)
    for name, value in rated.items() if isinstance(rated, dict) else ():
        if isinstance(value, list):
            yield from ((item, name) for item in value)
        else:
            yield name, _first(value, GRADE) if isinstance(value, dict) else value


def _first(entry: Row, names: tuple[str, ...]) -> Any:
    return next((entry[name] for name in names if entry.get(name) is not None), None)
