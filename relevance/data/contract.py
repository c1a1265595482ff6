"""The contract of a table of pairs: columns, types, rules for each row, and rules for the rows of one pair.

task="query_item" left="usb c cable" right="Volt USB-C cable 2 m" label=2 split="train" left_id="q17" right_id="i4"
source="human" weight=1.0, then the user's own columns, unchanged
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relevance.data.entities import Keys, differs, entity_keys, repeated
from relevance.data.faults import Fault, Loaded, faulty_rows
from relevance.errors import UserError, did_you_mean, shorten
from relevance.tasks import SPLITS, TASK_NAMES

REQUIRED = ("task", "left", "right", "label")
ALWAYS = ("left_id", "right_id", "source")  # null where the source has none
CONTRACT = (*REQUIRED, "split", *ALWAYS, "weight", "label_clean")
WHOLE = r"^([+-]?[0-9]+)\.0+$"  # a whole number as a float has it
TRUTH = ("true", "false")
LABEL_PATTERN = r"^\s*[012](\.0*)?\s*$"
NUMBER_PATTERN = r"^\s*-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*$"
WHOLE_BELOW = 2.0**53  # below it a float holds every whole number
TASK_REMEDY = f"use {', '.join(TASK_NAMES)}"
LABEL_REMEDY = "use 0 (irrelevant), 1 (partially relevant) or 2 (relevant)"
SPLIT_REMEDY = f"use {', '.join(SPLITS)} in every row (val, valid and dev: rename to validation), or drop the column"
WEIGHT_REMEDY = "give every row a finite number of 0 or more, or drop the column"
INVISIBLE = (  # of the other categories: blanks of Braille and Hangul, a joiner, variation selectors
    r"^[\p{Z}\p{Cc}\p{Cf}\x{2800}\x{3164}\x{115F}\x{1160}\x{FFA0}\x{034F}\x{FE00}-\x{FE0F}\x{E0100}-\x{E01EF}]*$"
)
C1_BYTES = re.compile(b"\xc2[\x80-\x9f]")
CONTROLS = r"[\x{80}-\x{9F}]"
SIGNS = {code: bytes([code]).decode("cp1252", "replace").replace("\ufffd", " ") for code in range(0x80, 0xA0)}
NAMED_ROWS = 8  # rows of one pair that a message names
Rule = tuple[str, pa.ChunkedArray, str, str]  # column, mask [N] of its bad rows, problem, remedy


def check_pairs(loaded: Loaded, name: str) -> tuple[Loaded, Keys]:
    """The rows of a loaded table that keep the contract, the others as faults; `name` is what an error calls the file.

    The columns of CONTRACT that are there come first, in their types: absent ids and sources are null.
    """
    sound = sound_pairs(loaded, name)
    keys = entity_keys(sound.table)
    repeats = list(_repeat_faults(sound, keys))
    return sound.without(repeats), keys.only(~np.isin(sound.rows, faulty_rows(repeats)))


def sound_pairs(loaded: Loaded, name: str) -> Loaded:
    """The same for rows taken one by one: pairs that stand in several rows stay."""
    check_present(loaded.table.column_names, REQUIRED, name, "data.columns")
    names = loaded.table.column_names
    texts = pa.table({c: as_text(loaded.table, c, name) if c in CONTRACT else loaded.table[c] for c in names})
    table = _typed(texts)
    return replace(loaded, table=table).without(list(row_faults(texts, _rules(table), loaded.rows)))


def check_present(names: Sequence[str], needed: Sequence[str], name: str, setting: str) -> None:
    """Raise UserError where one of the columns `needed` is not among `names`; `setting` maps columns to ours."""
    missing = [column for column in needed if column not in names]
    if missing:
        prefix = setting.removesuffix("columns")
        task = f", or {prefix}task=query_item where all rows are of one" if "task" in missing else ""
        raise UserError(
            f"{name}: missing column {', '.join(missing)}; present: {', '.join(names)}; "
            f"{did_you_mean(missing, names)}name it with {setting}={{{missing[0]}: <column of the file>}}{task}; "
            f"where the first line is a row: {prefix}header=[…]"
        )


def check_names(columns: dict[str, str], setting: str) -> None:
    """Raise UserError where `columns` (ours: theirs), given as `setting`, has a name that is not in the contract."""
    unknown = [name for name in columns if name not in CONTRACT]
    if unknown:
        raise UserError(f"{setting}={columns}: {', '.join(unknown)} is none of our names: {', '.join(CONTRACT)}")


def as_text(table: pa.Table, column: str, name: str) -> pa.ChunkedArray:
    """A column as text, whole floats as integers; UserError, which calls the file `name`, for what is neither."""
    values = table[column]
    if pa.types.is_floating(values.type):
        whole = pc.and_(pc.less(pc.abs(values), WHOLE_BELOW), pc.equal(values, pc.floor(values)))
        integers = pc.if_else(whole, values, None).cast(pa.int64()).cast(pa.string())
        values = integers if pc.all(whole, min_count=0).as_py() else pc.coalesce(integers, values.cast(pa.string()))
    try:
        return values.cast(pa.string())
    except pa.ArrowException as error:
        raise UserError(f"{name}: column {column} has type {values.type}; write it as text or numbers") from error


def with_labels(loaded: Loaded, task: str | None, grades: Mapping[Any, int], name: str, setting: str = "") -> Loaded:
    """A loaded table with the task of all its rows and the label of each grade; rows of another grade become faults.

    Raises UserError, which calls the file `name`, for a file of another task; `setting` stands before its settings.
    """
    table = loaded.table
    if task and table.column_names:
        if "task" in table.column_names:
            texts = as_text(table, "task", name)
            other = pc.unique(texts.filter(pc.invert(pc.or_(blank(texts), pc.equal(texts, task)))))
            if len(other):
                raise UserError(f"{setting}task={task}: column task of {name} says {other[0]}; leave {setting}task out")
            table = table.drop_columns(["task"])
        table = table.append_column("task", pa.repeat(task, len(table)))
    if not grades or "label" not in table.column_names:
        return replace(loaded, table=table)
    texts = as_text(table, "label", name)
    label = graded(texts, grades)
    shown = ", ".join(f"{grade}: {value}" for grade, value in grades.items())
    remedy = f"mend it, or give it a label in {setting}grades={{{shown}}}"
    rule = "label", pc.invert(pc.or_(pc.is_valid(label), blank(texts))), "label is none of the grades", remedy
    faults = list(row_faults(pa.table({"label": texts}), [rule], loaded.rows))
    at = table.column_names.index("label")
    return replace(loaded, table=table.set_column(at, "label", label)).without(faults)


def graded(texts: pa.ChunkedArray, grades: Mapping[Any, int]) -> pa.ChunkedArray:
    """The label [N] of each grade, as text; null for none of `grades`. Blanks and ways to write a number are alike."""
    trimmed = pc.replace_substring_regex(pc.utf8_trim_whitespace(texts), WHOLE, r"\1")
    lower = pc.utf8_lower(trimmed)
    known = {grade_text(grade): str(label) for grade, label in grades.items()}
    at = pc.index_in(pc.if_else(pc.is_in(lower, pa.array(TRUTH)), lower, trimmed), pa.array(known))
    return pc.take(pa.array(known.values(), pa.string()), at)


def grade_text(grade: object) -> str:
    """A grade as `graded` compares it."""
    text = " ".join(str(grade).split())
    return re.sub(WHOLE, r"\1", text.lower() if text.lower() in TRUTH else text)


def _typed(texts: pa.Table) -> pa.Table:
    """The same columns in the types of the contract; what does not fit is null."""
    convert = {"label": labels, "label_clean": labels, "weight": _weights}
    convert |= dict.fromkeys(("split", *ALWAYS), _blank_as_null)
    columns = {}
    for name in CONTRACT:
        if name in texts.column_names:
            columns[name] = convert[name](texts[name]) if name in convert else texts[name]
        elif name in ALWAYS:
            columns[name] = pa.nulls(len(texts), pa.string())
    return pa.table(columns | {name: texts[name] for name in texts.column_names if name not in CONTRACT})


def _blank_as_null(column: pa.ChunkedArray) -> pa.ChunkedArray:
    empty = blank(column)
    return pc.if_else(empty, None, column) if pc.any(empty).as_py() else column


def labels(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts [N] as int8 [N], null where the text is no label; few differ, and each of these is parsed once."""
    parsed = []
    for chunk in map(pc.dictionary_encode, column.chunks):
        fits = pc.match_substring_regex(chunk.dictionary, LABEL_PATTERN)
        texts = pc.utf8_trim_whitespace(pc.if_else(fits, chunk.dictionary, None))
        parsed.append(pc.utf8_slice_codeunits(texts, 0, 1).cast(pa.int8()).take(chunk.indices))
    return pa.chunked_array(parsed, pa.int8())


def _weights(column: pa.ChunkedArray) -> pa.ChunkedArray:
    fits = pc.match_substring_regex(column, NUMBER_PATTERN)
    weights = pc.utf8_trim_whitespace(pc.if_else(fits, column, None)).cast(pa.float32())
    return pc.if_else(pc.and_(pc.greater_equal(weights, 0), pc.is_finite(weights)), weights, None)


def row_faults(texts: pa.Table, rules: Iterable[Rule], rows: np.ndarray) -> Iterator[Fault]:
    """The rows that break a rule; `texts` hold the values as they stand in the file, `rows` [N] their numbers."""
    for column, bad, problem, remedy in rules:
        at = np.flatnonzero(bad.to_numpy())
        if len(at):
            values = texts[column].take(pa.array(at)).to_pylist()
            yield Fault(problem, remedy, rows[at], [shorten(value) for value in values])


def _rules(typed: pa.Table) -> Iterator[Rule]:
    """What every labelled pair keeps; `typed` is null where a value does not fit."""
    yield from pair_rules(typed)
    for label in ("label", "label_clean"):
        if label in typed.column_names:
            yield label, pc.is_null(typed[label]), f"{label} is not 0, 1 or 2", LABEL_REMEDY
    if "split" in typed.column_names:
        yield "split", pc.invert(pc.is_in(typed["split"], pa.array(SPLITS))), "unknown split", SPLIT_REMEDY
    if "weight" in typed.column_names:
        yield "weight", pc.is_null(typed["weight"]), "weight is negative or no finite number", WEIGHT_REMEDY


def pair_rules(texts: pa.Table) -> Iterator[Rule]:
    """What every pair keeps, labelled or not."""
    yield "task", pc.invert(pc.is_in(texts["task"], pa.array(TASK_NAMES))), "unknown task", TASK_REMEDY
    for side in ("left", "right"):
        yield side, blank(texts[side]), f"{side} is empty", "give the text or remove the row"


def with_signs(text: pa.ChunkedArray) -> tuple[pa.ChunkedArray, int]:
    """Texts [N] with the signs of cp1252 for control characters from U+0080 on, and how many texts hold such."""
    if not any(b"\xc2" in (raw := bytes(utf8_bytes(chunk))) and C1_BYTES.search(raw) for chunk in text.chunks):
        return text, 0  # most texts hold no such byte: ten times as fast
    bad = pc.fill_null(pc.match_substring_regex(text, CONTROLS), False)
    signs = pa.array([value.translate(SIGNS) for value in text.filter(bad).to_pylist()])
    return pa.chunked_array([pc.replace_with_mask(text.combine_chunks(), bad.combine_chunks(), signs)]), len(signs)


def blank(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """[N], whether a text is null, empty or nothing but what nobody sees: blanks, controls, marks of no width."""
    head = pc.binary_slice(text.cast(pa.binary()), 0, 1)
    seen = pc.fill_null(pc.and_(pc.greater(head, b" "), pc.less(head, b"\x7f")), False)  # of most texts, and fast
    empty = ~seen.to_numpy()
    if len(at := np.flatnonzero(empty)):
        unseen = pc.match_substring_regex(text.cast(pa.string()).take(pa.array(at)), INVISIBLE)
        empty[at] = pc.fill_null(unseen, True).to_numpy()
    return pa.chunked_array([empty])


def utf8_bytes(chunk: pa.StringArray) -> memoryview:
    _, offsets, values = chunk.buffers()
    if values is None:
        return memoryview(b"")
    ends = np.frombuffer(offsets, np.int32)
    return memoryview(values)[ends[chunk.offset] : ends[chunk.offset + len(chunk)]]


def _repeat_faults(sound: Loaded, keys: Keys) -> Iterator[Fault]:
    """Every row of a pair that disagrees with itself, and every copy after the first of a pair that does not."""
    at, group = repeated(keys.pair)
    if not len(at):
        return
    again, rows = sound.table.take(pa.array(at)), sound.rows[at]
    two_labels = differs(again["label"].to_numpy(), group)
    two_splits = np.zeros(len(at), bool)
    if "split" in again.column_names:
        two_splits = differs(pc.index_in(again["split"], pa.array(SPLITS)).to_numpy(), group)
    copies = np.ones(len(at), bool)
    copies[np.unique(group, return_index=True)[1]] = False
    for bad, problem, remedy in (
        (two_labels, "a pair has two labels", "keep the row that is right"),
        (two_splits & ~two_labels, "a pair stands in two splits", "keep it in one split"),
        (copies & ~two_labels & ~two_splits, "a pair is repeated", "remove the copy"),
    ):
        if bad.any():
            yield Fault(problem, remedy, rows[bad], _describe(again, rows, group, bad))


def _describe(again: pa.Table, rows: np.ndarray, group: np.ndarray, bad: np.ndarray) -> list[str]:
    """What a person needs to see of each bad row: the pair, its label and split, the rows it stands in."""
    order = np.argsort(group, kind="stable")
    together = np.split(rows[order], np.flatnonzero(np.diff(group[order])) + 1)
    named = [", ".join(map(str, same[:NAMED_ROWS])) + (", …" if len(same) > NAMED_ROWS else "") for same in together]
    bad_rows = again.filter(pa.array(bad)).to_pylist()
    splits = [f", {row['split']}" if "split" in row else "" for row in bad_rows]
    return [
        f"{pair_text(row)} label {row['label']}{split}; rows {named[g]}"
        for row, split, g in zip(bad_rows, splits, group[bad], strict=True)
    ]


def pair_text(row: dict[str, Any]) -> str:
    """The pair of a row, by its ids, or its texts where it has none."""
    left, right = (shorten(row[f"{side}_id"] or row[side]) for side in ("left", "right"))
    return f"{row['task']} {left} | {right}"
