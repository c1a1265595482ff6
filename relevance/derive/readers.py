"""A file of one format → its rows, those that cannot be read as faults; columns that nobody wants are null.

"3237 - Animals > Live Animals" of Google's taxonomy → type="3237" parent="1" name="Live Animals"
{"queries": [{"query_text": "usb c", "ratings": [{"doc_id": 7, "rating": 2.0}]}]} → query="usb c" item_id=7 label=2.0,
of Quepid, RRE, OpenSearch or Elasticsearch
"""

import json
import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relevance.data.database import opened
from relevance.data.delimited import layout, read_delimited
from relevance.data.faults import Fault, Loaded, faulty_rows
from relevance.data.readers import LINES, of_objects, read_jsonl, read_parquet
from relevance.data.text_files import Form, kind_of, text_bytes, whole_text
from relevance.errors import UserError, shorten

Row: TypeAlias = dict[str, Any]
# the file, how it is read, and its columns to read
Reader: TypeAlias = Callable[[Path, Form, Collection[str]], Loaded]
SWALLOWED = "a quote opened here closes rows further on"
SWALLOWED_REMEDY = (
    "close the quote, double one that belongs to the text, or read.*.quotes=false where no quote has a meaning"
)
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


def _delimited(path: Path, form: Form, _: Collection[str]) -> Loaded:
    if kind_of(path) == ".txt" and _is_google(path, form):
        return _google_tree(path, form)
    form = layout(path, form).form
    return _without_swallowed(read_delimited(path, form), form.delimiter or "")


def _without_swallowed(loaded: Loaded, delimiter: str) -> Loaded:
    """`loaded` less rows that swallowed others, which become faults; only tabs tell, texts hold all other delimiters.

    3 <tab> "rustic bed / 4 <tab> "king" bed: a cell that holds as many delimiters as whole rows have.
    """
    cells = len(loaded.table.column_names) - 1
    values: dict[int, str] = {}
    for column in loaded.table.columns if delimiter == "\t" and cells else ():
        raw = column.cast(pa.binary())
        at = np.flatnonzero(pc.match_substring(raw, b"\n").to_numpy())
        some = raw.take(pa.array(at))
        lines, tabs = (pc.count_substring(some, sign).to_numpy() for sign in (b"\n", b"\t"))
        for row in np.flatnonzero(tabs == lines * cells):
            values[loaded.rows[at[row]]] = shorten(some[int(row)].as_py().decode(errors="replace"))
    fault = Fault.of(SWALLOWED, SWALLOWED_REMEDY, dict(sorted(values.items())))
    return loaded.without([fault] if values else [])


def _is_google(path: Path, form: Form) -> bool:
    """Whether a file is Google's product taxonomy: by its comment, or by a first line such as "1 - Animals"."""
    with text_bytes(path, form) as file:
        first = file.readline(1000).decode(errors="replace")
    return first.startswith(GOOGLE) or NUMBERED.match(first) is not None


def _google_tree(path: Path, form: Form) -> Loaded:
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


def _json(path: Path, form: Form, wanted: Collection[str]) -> Loaded:
    """A list of objects; entries that are no sound ones come back as faults, and NaN is null."""
    return _of_list(path, _parsed(path, form), wanted)


def _judgements(path: Path, form: Form, wanted: Collection[str]) -> Loaded:
    """A .json or .jsonl of judgements: of queries with their ratings, or flat as any other."""
    lines = kind_of(path) == ".jsonl"
    if lines and not _holds_ratings(path, form):
        return read_jsonl(path, form, wanted)
    content = _parsed_lines(path, form) if lines else _parsed(path, form)
    try:
        rows = _nested_ratings(content)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    return _of_list(path, content, wanted) if rows is None else _of_entries(rows, wanted, RATINGS)


def _holds_ratings(path: Path, form: Form) -> bool:
    """Whether the first line is a query with ratings."""
    with text_bytes(path, form) as file:
        try:
            return _nested_ratings(json.loads(next(filter(bytes.strip, file), b""))) is not None
        except (ValueError, RecursionError):
            return False


class _Deep(str):
    """The text of an entry that is nested too deeply."""


class _Twice(dict):
    """An object with a key given twice."""


def _parsed(path: Path, form: Form) -> Any:
    """The content of a JSON file, with a _Deep or a _Twice for each entry of its list that is one."""
    text = whole_text(path, form)
    try:
        try:
            return _loaded(text)
        except RecursionError:
            if not (entries := _entries(text)):
                raise
        return [_loaded_or_deep(entry) for entry in entries]
    except (ValueError, RecursionError) as cause:
        raise UserError(f"{path}: cannot be read as JSON: {cause}; fetch it anew, or write it as .jsonl") from cause


def _parsed_lines(path: Path, form: Form) -> list:
    entries = []
    for number, line in enumerate(whole_text(path, form).splitlines(), start=1):
        try:
            entries += [_loaded(line)] if line.strip() else []
        except (ValueError, RecursionError) as cause:
            raise UserError(f"{path}: line {number} cannot be read as JSON: {cause}; mend or remove it") from cause
    return entries


def _loaded(text: str) -> Any:
    def object_of(pairs: list[tuple]) -> dict:
        made = dict(pairs)
        return made if len(made) == len(pairs) else _Twice(made)

    return json.loads(text, object_pairs_hook=object_of, parse_constant=lambda _: None)


def _loaded_or_deep(text: str) -> Any:
    try:
        return _loaded(text)
    except RecursionError:
        return _Deep(text)


def _entries(text: str) -> list[str]:
    """The texts of the entries of a list, however deep they are; none where it is no such list."""
    with TemporaryDirectory() as folder, opened(Path(folder)) as database:
        database.put("content", pa.table({"text": [text]}))
        rows = database.rows("SELECT unnest(json_extract(TRY_CAST(text AS JSON), '$[*]')) FROM content")
        return [entry for (entry,) in rows]


def _of_list(path: Path, content: Any, wanted: Collection[str]) -> Loaded:
    if not isinstance(content, list):
        raise UserError(f"{path}: holds {shorten(content)}, not a list of objects; write one list, or .jsonl")
    return _of_entries(content, wanted, "rows are the entries of the list, from 1")


def _of_entries(entries: list, wanted: Collection[str], counted: str) -> Loaded:
    faults = list(_entry_faults(entries))
    bad = set(faulty_rows(faults).tolist())
    objects = {row: entry for row, entry in enumerate(entries, start=1) if row not in bad}
    return of_objects(objects, faults, wanted, counted)


def _entry_faults(entries: list) -> Iterator[Fault]:
    for problem, remedy, bad in (
        ("entry is no object", "write one JSON object for each row", lambda e: type(e) not in (dict, _Twice, _Deep)),
        ("a key is given twice", "keep one of the values", lambda e: type(e) is _Twice),
        ("entry is nested too deeply", "write its inner values as text, or leave them out", lambda e: type(e) is _Deep),
        ("half a surrogate pair", "write the whole character", lambda e: type(e) is dict and _half(e)),
    ):
        at = np.flatnonzero([bad(entry) for entry in entries])
        if len(at):
            yield Fault(problem, remedy, at + 1, [shorten(entries[place]) for place in at])


def _half(entry: dict) -> bool:
    """Whether a text in it stands for no character, as "\\ud800" alone does."""
    try:
        json.dumps(entry, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def _nested_ratings(content: object) -> list[Row] | None:
    """A row for each rating in an export of queries, None for none; UserError where some entries hold none."""
    if isinstance(content, list):
        parts = [_nested_ratings(entry) for entry in content]
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
        parts = [part for value in content.values() if (part := _nested_ratings(value)) is not None]
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


READERS: dict[str, Reader] = {
    ".parquet": read_parquet,
    ".csv": _delimited,
    ".tsv": _delimited,
    ".jsonl": read_jsonl,
    ".json": _json,
    ".txt": _delimited,
}
OF_JUDGEMENTS = READERS | {".json": _judgements, ".jsonl": _judgements}
