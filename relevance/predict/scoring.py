"""A file of pairs, scored chunk by chunk: read → answers of the cells → written; then a table of scores.

The file is read twice: once for its rows, columns and faults, before a model is loaded; once to score it. Lines of
jsonl further down may bring other columns and types: chunks of {left: string, price: int64} and of
{left: string, note: bool, price: double} are written under {left: string, price: double, note: bool}.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from tqdm import tqdm

from relevance import seal
from relevance.cli import echo
from relevance.data import contract
from relevance.data.faults import (
    LISTED,
    NONE_LEFT,
    Fault,
    Loaded,
    faults_error,
    faulty_rows,
    list_faults,
    listing_schema,
    merge_faults,
    quarantine_note,
    signs_note,
)
from relevance.data.readers import STREAMED, stream_table
from relevance.data.text_files import Form
from relevance.data.writers import Writer, json_values, streamed, writable
from relevance.errors import UserError
from relevance.metrics import Scores, score, task_codes
from relevance.outputs import check_listing, check_table, remove_listing
from relevance.predict.answers import Answers
from relevance.tasks import LABELS, TASK_NAMES

if TYPE_CHECKING:
    from relevance.predict.scorer import Scorer

NEEDED = ("task", "left", "right")
LABEL = "label"
SHOWN = (*NEEDED, LABEL)  # cells of a row that is set aside
SET_ASIDE = "or set on_bad_row=quarantine to leave these rows out of the output and list them beside it"


@dataclass(frozen=True)
class Chunk:
    table: pa.Table  # rows that can be scored: columns as in the file; task, left, right are text, label is int8
    faults: tuple[Fault, ...]
    loaded: Loaded  # every row that could be read, as it stands in the file


@dataclass(frozen=True)
class InputForm:
    """What the user says of a file beside the names of its columns."""

    text: Form = STREAMED
    task: str | None = None  # of all rows
    grades: dict[Any, int] = field(default_factory=dict)  # the label of each


PLAIN = InputForm()


def read_chunks(path: Path, columns: dict[str, str], rows: int, form: InputForm = PLAIN) -> Iterator[Chunk]:
    """The file in chunks of at most `rows` rows, `columns` (ours: theirs) renamed; UserError where it is none such."""
    columns_seen = False
    for part in stream_table(path, columns, rows, form.text):
        loaded = contract.with_labels(part, form.task, form.grades, str(path))
        names = loaded.table.column_names
        if names and not columns_seen:
            contract.check_present(names, NEEDED, str(path), "columns")
        columns_seen = columns_seen or bool(names)  # jsonl lines that lack one later on are rows at fault
        yield checked(loaded, str(path))


def checked(loaded: Loaded, name: str) -> Chunk:
    """Rows of pairs that can be scored, and the faults of the others; `name` is what an error calls them."""
    table = with_columns(loaded.table, NEEDED, len(loaded.rows))
    ours = [column for column in (*NEEDED, LABEL) if column in table.column_names]
    texts = pa.table({column: contract.as_text(table, column, name) for column in ours})
    faults = tuple(contract.row_faults(texts, _rules(texts), loaded.rows))
    typed = {column: contract.labels(texts[column]) if column == LABEL else texts[column] for column in ours}
    table = pa.table({column: typed.get(column, table[column]) for column in table.column_names})
    if faults:
        table = table.filter(pa.array(~np.isin(loaded.rows, faulty_rows(faults))))
    return Chunk(table, (*loaded.faults, *faults), loaded)


def _rules(texts: pa.Table) -> Iterator[contract.Rule]:
    yield from contract.pair_rules(texts)
    if LABEL in texts.column_names:
        bad = pc.and_(pc.is_null(contract.labels(texts[LABEL])), pc.invert(contract.blank(texts[LABEL])))
        yield LABEL, bad, "label is not 0, 1 or 2", f"{contract.LABEL_REMEDY}, or leave it empty"


@dataclass(frozen=True)
class Scan:
    """A file as a whole; 8 bytes for each row at fault are all that grows with it."""

    schema: pa.Schema  # of the rows that can be scored
    tasks: np.ndarray  # [6] rows of each task that can be scored
    labelled: int  # of those
    faults: tuple[Fault, ...]  # of each rule every row, and the values of the first LISTED
    counted: str  # how rows are numbered
    signs: int = 0  # texts whose control characters were read as signs of cp1252

    @property
    def rows(self) -> int:
        return int(self.tasks.sum())


def scan_file(chunks: Iterable[Chunk]) -> Scan:
    """What the chunks of a file hold in all; raises what reading them raises."""
    scan = Scan(pa.schema([]), np.zeros(len(TASK_NAMES), np.int64), 0, (), "")
    for chunk in chunks:
        merged = merge_faults([*scan.faults, *chunk.faults])
        listed = tuple(replace(fault, values=fault.values[:LISTED]) for fault in merged)
        scan = replace(scan, faults=listed, counted=chunk.loaded.counted, signs=scan.signs + chunk.loaded.signs)
        table = chunk.table
        if len(table):  # the columns of chunks without rows may be made up of nulls
            tasks = scan.tasks + np.bincount(task_codes(table["task"]), minlength=len(TASK_NAMES))
            labelled = scan.labelled + (len(table) - table[LABEL].null_count if LABEL in table.column_names else 0)
            scan = replace(scan, schema=_union(scan.schema, table.schema), tasks=tasks, labelled=labelled)
    return scan


def _union(first: pa.Schema, second: pa.Schema) -> pa.Schema:
    """Every column of both, in the order they were met; types that nothing else can join are joined as text."""
    if first.equals(second):
        return first
    names = [*first.names, *(name for name in second.names if name not in first.names)]
    return pa.schema([(name, _type([s.field(name) for s in (first, second) if name in s.names])) for name in names])


def _type(fields: list[pa.Field]) -> pa.DataType:
    try:
        return pa.unify_schemas([pa.schema([field]) for field in fields], promote_options="permissive").types[0]
    except pa.ArrowTypeError:
        return pa.string()


def fitted(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """`table` under a schema that is the union of its own and others."""
    if table.schema.equals(schema):
        return table
    whole = with_columns(table, schema.names, len(table))
    as_json = {f.name for f in schema if pa.types.is_string(f.type) and not pa.types.is_string(whole[f.name].type)}
    return pa.table(
        {f.name: json_values(whole[f.name]) if f.name in as_json else whole[f.name].cast(f.type) for f in schema},
        schema,
    )


def with_columns(table: pa.Table, names: Sequence[str], rows: int) -> pa.Table:
    """`table` of so many rows with a column of nulls for each of `names` it lacks."""
    absent = [name for name in names if name not in table.column_names]
    if not absent:
        return table
    return pa.table({name: table[name] for name in table.column_names} | {name: pa.nulls(rows) for name in absent})


@dataclass(frozen=True)
class Files:
    input: Path
    output: Path
    columns: dict[str, str]  # ours: theirs
    quarantine: bool  # bad rows are set aside; else they are an error
    rows: int  # held at a time
    form: InputForm
    answers: Answers

    @property
    def aside(self) -> Path:
        return self.output.with_name(f"{self.output.name}.quarantine.csv")

    def chunks(self) -> Iterator[Chunk]:
        return read_chunks(self.input, self.columns, self.rows, self.form)

    def bad(self, chunk: Chunk) -> pa.Table:
        """The chunk's rows at fault as they are listed; texts of schema `listing_schema(SHOWN)`."""
        read = chunk.loaded
        cells = with_columns(read.table, SHOWN, len(read.rows)).select(SHOWN)
        return list_faults(str(self.input), chunk.faults, cells, read.rows)

    def scan(self) -> Scan:
        """The first look; raises UserError for what cannot be scored or written."""
        contract.check_names(self.columns, "columns")
        writable(self.output)
        for place in (self.output, self.aside):
            if place.exists() and place.samefile(self.input):
                raise UserError(f"output={self.output}: {place} is the input; name another file")
        scan = scan_file(self.chunks())
        if taken := ", ".join(name for name in self.answers.added.names if name in scan.schema.names):
            raise UserError(f"{self.input}: column {taken} is the output's own; rename or drop it in the file")
        if scan.faults and not (self.quarantine and scan.rows):
            remedy = SET_ASIDE if scan.rows else NONE_LEFT
            raise faults_error(str(self.input), scan.faults, scan.counted, remedy)
        if not scan.rows:
            raise UserError(f"{self.input}: the file holds no rows")
        return scan


def score_file(files: Files, folders: list[Path], device: str | None, trusted: bool) -> Scores:
    """Score the input with the models in `folders` and write the output; the scores of the rows that have labels.

    `trusted`: code of the backbones' own may run, see model.store.load_network.

    Raises UserError for what cannot be read, scored or written; what stood at the output then stays.
    """
    scan = files.scan()
    check_table(files.output, lambda names: {*NEEDED} <= {*names} and names[-1:] == ["predicted"], folders)
    check_listing(files.aside, folders)
    for note in (*_notes(files, scan), *files.answers.notes):
        echo(note)
    with ExitStack() as stack:
        output = stack.enter_context(streamed(files.output, pa.schema([*scan.schema, *files.answers.added])))
        aside = stack.enter_context(streamed(files.aside, listing_schema(SHOWN))) if scan.faults else None
        scorers = _opened(folders, device, trusted, scan)
        started = time.perf_counter()
        scores = _scored(files, scan, scorers, output, aside)
    if scan.faults:
        seal.write(files.aside, "predict")
    else:
        remove_listing(files.aside)
    seconds = time.perf_counter() - started
    for line in files.answers.summary:
        echo(line)
    echo(f"{scan.rows:,} rows in {seconds:.1f} s, {scan.rows / seconds:,.0f} rows/s → {files.output}")
    return scores


def _notes(files: Files, scan: Scan) -> Iterator[str]:
    if scan.signs:
        yield signs_note(str(files.input), scan.signs)
    if scan.faults:
        yield quarantine_note(scan.faults, scan.rows, files.aside)
    if 0 < scan.labelled < scan.rows:
        yield f"labels: on {scan.labelled:,} rows; the other {scan.rows - scan.labelled:,} enter no score"


def _opened(folders: list[Path], device: str | None, trusted: bool, scan: Scan) -> list["Scorer"]:
    from relevance.predict.scorer import Scorer  # imports torch: bad rows are reported before

    scorers = [Scorer(folder, device, trusted) for folder in folders]
    for folder, scorer in zip(folders, scorers, strict=True):
        admit(scorer, folder, [TASK_NAMES[k] for k in np.flatnonzero(scan.tasks)])
    return scorers


def admit(scorer: "Scorer", folder: Path, tasks: Sequence[str]) -> None:
    """UserError where weights of these tasks were never trained; other tasks that the cell never saw are told."""
    others = ", ".join(scorer.reading.unknown(tasks))
    known = f"{folder}: was trained on {', '.join(scorer.reading.tasks)}"
    if others and (part := scorer.config.routing.private_part):
        raise UserError(f"{known}; its {part} of {others} never were; leave rows of these tasks out")
    if others:
        echo(f"{known} alone; scored all the same: {others}")


def _scored(files: Files, scan: Scan, scorers: list["Scorer"], output: Writer, aside: Writer | None) -> Scores:
    rows, confusion = 0, np.zeros((len(TASK_NAMES), len(LABELS), len(LABELS)), np.int64)
    with tqdm(total=scan.rows * len(scorers), unit="row", disable=None) as bar:
        for chunk in files.chunks():
            if aside and chunk.faults:
                aside.write_table(files.bad(chunk))
            if len(chunk.table):
                table = fitted(chunk.table, scan.schema)
                columns = files.answers.columns(scorers, table, bar.update)
                for added, values in zip(files.answers.added, columns, strict=True):
                    table = table.append_column(added, pa.array(values, added.type))
                output.write_table(table)
                confusion += _confusion(table, columns[-1])
                rows += len(table)
    if rows != scan.rows:
        raise UserError(f"{files.input}: changed as it was scored ({scan.rows:,} rows, then {rows:,}); score it again")
    return Scores(confusion)


def _confusion(table: pa.Table, predicted: np.ndarray) -> np.ndarray:
    """Counts [6, 3, 3] of a chunk's rows [N] that have a label."""
    label = table[LABEL].fill_null(-1).to_numpy() if LABEL in table.column_names else np.full(len(table), -1)
    known = label >= 0
    return score(task_codes(table["task"])[known], label[known], predicted[known]).confusion


def scores_text(scores: Scores) -> str:
    """An aligned table in percent, each task present, then micro and macro; "" where no row had a label.

    task          n   accuracy %  macro-F1 %
    query_item  812         81.4        80.2
    micro       812         81.4
    """
    if not scores.n.any():
        return ""
    lines = [f"{'task':<12}{'n':>10}{'accuracy %':>12}{'macro-F1 %':>12}"]
    for task in np.flatnonzero(scores.n):
        accuracy, f1 = 100 * scores.accuracy[task], 100 * scores.macro_f1[task]
        lines.append(f"{TASK_NAMES[task]:<12}{scores.n[task]:>10,}{accuracy:>12.1f}{f1:>12.1f}")
    for name, share in (("micro", scores.micro), ("macro", scores.macro)):
        lines.append(f"{name:<12}{scores.n.sum():>10,}{100 * share:>12.1f}")
    return "\n".join(lines)
