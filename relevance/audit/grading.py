"""Pairs of each rule and label → a csv for people to grade blindly; the graded files → how far rules can be trusted.

query_item q1 | i4 label=2 source="chorus" → key="p9c1f…", task="query_item", left="usb", right="Volt ...", grade=""
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from relevance.atomic_io import atomic_file
from relevance.audit.counts import BY_LABEL, Opened, agreement, count_couples, pairs_database
from relevance.audit.page import AGREED, agreed, decimal, share
from relevance.data.contract import blank, labels, row_faults
from relevance.data.database import Database
from relevance.data.delimited import read_delimited
from relevance.data.faults import Loaded, faults_error, guard_formulas
from relevance.data.readers import parse_errors, undecodable
from relevance.data.text_files import Form
from relevance.errors import UserError
from relevance.pages.blocks import NONE, Section, Table, count
from relevance.tasks import LABELS, TASK_NAMES

COLUMNS = ("key", "task", "left", "right", "grade")
PAIR = ("task", "left_id", "left", "right_id", "right")
SEPARATOR, NULL = "\x1f", "\x1e"  # in what is digested: no text is likely to hold them
BOM = b"\xef\xbb\xbf"  # without it spreadsheets read UTF-8 as something else
DIGESTED = 1 << 17  # rows at a time
NEEDED = ("key", "grade")
REREAD = "mend the file and read it again"
GRADE_REMEDY = "leave the cell empty, or use 0 (irrelevant), 1 (partially relevant) or 2 (relevant)"
KEY_REMEDY = "give the table the sample was drawn from, or remove the row"
TWICE_REMEDY = "keep one of its rows; a second person's grades are a file of their own"
FAULTS = (  # mark of a line, column shown, problem, remedy
    ("wrong", "grade", "grade is not 0, 1 or 2", GRADE_REMEDY),
    ("unknown", "key", "key is no pair of the table", KEY_REMEDY),
    ("twice", "key", "a pair is graded twice", TWICE_REMEDY),
)
TALLY = "count(other) AS graded, count(*) - count(other) AS ungraded FROM graded"
KAPPA_NOTE = (
    "kappa: Cohen's, quadratic weights, between label and grade; its interval is of 1,000 draws of the pairs. A "
    "rule that gives one label has none: its grades count in its task's (all rules). Each "
    "label of a rule is shown alike often; in the table %: equal grades with each label weighed by its pairs in "
    "the table. Where a pair stands in several rows, the first stands for it."
)


def grading_sheet(pairs: Opened, n: int, seed: int) -> pa.Table:
    """At most `n` pairs of each task, rule and label, by key, grade empty; `seed` and the pair alone say which."""
    with pairs_database(pairs.table, pairs.keys) as database:
        _put_shown(pairs.table, f"seed {seed}", database)
        chosen = database.table(
            """SELECT key, place FROM shown
            QUALIFY row_number() OVER (PARTITION BY task, source, label ORDER BY draw) <= $n ORDER BY key""",
            {"n": n},
        )
    texts = pairs.table.select(["task", "left", "right"]).take(chosen["place"])
    columns = (chosen["key"], *map(guard_formulas, texts.columns), pa.repeat("", len(chosen)))
    return pa.table(dict(zip(COLUMNS, columns, strict=True)))


def _put_shown(table: pa.Table, draw: str, database: Database) -> None:
    """shown(key, draw, and the columns of `pair`): of each pair the first row, which stands for it."""
    digests = {"place": np.arange(len(table)), "digest": _digests(table, "pair"), "draw": _digests(table, draw)}
    database.put("digested", pa.table(digests))
    database.make(
        "shown",
        """SELECT format('p{:016x}', digest) AS key, draw, pair.* FROM pair JOIN digested USING (place)
        QUALIFY row_number() OVER (PARTITION BY digest ORDER BY place) = 1""",
    )


def _digests(table: pa.Table, name: str) -> np.ndarray:
    """A number [N], uint64, of each row's task, ids and texts and of nothing else; `name` makes it another one."""
    from pandas.util import hash_array

    salt = hashlib.sha256(name.encode()).hexdigest()[:16]
    columns = [pc.fill_null(table[column], NULL) for column in PAIR]
    joined = pc.binary_join_element_wise(*columns, SEPARATOR)
    parts = [joined.slice(start, DIGESTED) for start in range(0, len(joined), DIGESTED)]
    hashed = [hash_array(part.to_numpy(zero_copy_only=False), hash_key=salt, categorize=False) for part in parts]
    return np.concatenate(hashed)


def write_sheet(table: pa.Table, path: Path) -> None:
    """Write the csv; raises UserError where a file stands there: it may hold somebody's grades."""
    if path.suffix != ".csv":
        raise UserError(f"output={path}: give the csv to write, output=FILE.csv")
    if path.exists():
        raise UserError(f"output={path}: the file exists and may hold grades; remove it or give another name")
    with atomic_file(path) as part, part.open("wb") as file:
        file.write(BOM)
        pa.csv.write_csv(table, file)


def graded(pairs: Opened, files: Sequence[Path]) -> dict:
    """Every number of the grades in `files`, a person each, with stable keys."""
    with pairs_database(pairs.table, pairs.keys) as database:
        _put_shown(pairs.table, "pair", database)
        answers = [_read_grades(path, database) for path in files]
        person = pa.array(np.repeat(np.arange(len(files)), list(map(len, answers))))
        database.put("answer", pa.concat_tables(answers).append_column("person", person))
        database.make("graded", "SELECT person, pair.*, grade AS other FROM answer JOIN pair USING (place)")
        couples, counts = count_couples(database, "FROM graded WHERE other IS NOT NULL", "task, source, place")
        task = couples["task"].to_numpy()
        return {
            "file": pairs.name,
            "graders": [{"file": str(files[line.pop("person")])} | line for line in _tally(database, "person")],
            "rules": _rules(database, couples, counts),
            "tasks": [  # most rules have one label, and so no kappa of their own
                line | agreement(counts[task == code]) | {"task": TASK_NAMES[code]}
                for line in _tally(database, "task")
                for code in (line["task"],)
            ],
            "all": database.table(f"SELECT {TALLY}").to_pylist()[0] | agreement(counts),
            "confusion": counts.sum(axis=0).tolist(),
            "between": [_between(files, *two, database) for two in combinations(range(len(files)), 2)],
        }


def _tally(database: Database, by: str) -> list[dict]:
    """Graded and ungraded rows of each group of the columns `by`, in order, a null last."""
    return database.table(f"SELECT {by}, {TALLY} GROUP BY {by} ORDER BY ALL NULLS LAST").to_pylist()


def _rules(database: Database, couples: pa.Table, counts: np.ndarray) -> list[dict]:
    """A line for each task and rule that people were shown; `counts` [G, 3, 3] are of the graded pairs `couples`."""
    groups = list(zip(couples["task"].to_pylist(), couples["source"].to_pylist(), strict=True))
    totals = {tuple(rule): n for *rule, n in database.rows(f"SELECT task, source, {BY_LABEL} FROM shown GROUP BY ALL")}
    lines = []
    for line in _tally(database, "task, source"):
        rule = line["task"], line["source"]
        of_rule = counts[[group == rule for group in groups]]
        weighted = _weigh(np.array(totals[rule]), of_rule.sum(axis=0))
        lines.append(line | {"task": TASK_NAMES[rule[0]]} | agreement(of_rule) | {"weighted": weighted})
    return lines


def _weigh(totals: np.ndarray, confusion: np.ndarray) -> float | None:
    """The share of equal grades, a label weighed by its pairs `totals` [3] in the table: the sheet shows all alike."""
    n = confusion.sum(axis=1)
    if (n[totals > 0] == 0).any():
        return None
    return float((totals * np.diagonal(confusion) / np.maximum(n, 1)).sum() / totals.sum())


def _between(files: Sequence[Path], first: int, second: int, database: Database) -> dict:
    """Two people on the pairs both graded."""
    couples = f"""SELECT place, a.other AS label, b.other AS other FROM graded a JOIN graded b USING (place)
        WHERE a.person = {first} AND b.person = {second} AND a.other IS NOT NULL AND b.other IS NOT NULL"""
    graders = {"graders": [str(files[first]), str(files[second])]}
    return graders | agreement(count_couples(database, couples, "place")[1])


def _read_grades(path: Path, database: Database) -> pa.Table:
    """place and grade (null: empty) of the pairs in the csv at `path`; one UserError with every row at fault."""
    loaded = _load(path)
    key, grade = (pc.utf8_trim_whitespace(loaded.table[name]) for name in NEEDED)
    columns = {"row": loaded.rows, "key": key, "grade": labels(grade), "empty": blank(grade)}
    database.put("line", pa.table(columns))
    lines = database.table(
        """SELECT place, grade, NOT empty AND grade IS NULL AS wrong, place IS NULL AS unknown,
            NOT empty AND place IS NOT NULL AND count(*) FILTER (NOT empty) OVER (PARTITION BY place) > 1 AS twice
        FROM line LEFT JOIN shown USING (key) ORDER BY row"""
    )
    rules = [(column, lines[mark], problem, remedy) for mark, column, problem, remedy in FAULTS]
    if faults := (*loaded.faults, *row_faults(loaded.table, rules, loaded.rows)):
        raise faults_error(str(path), faults, loaded.counted, REREAD)
    return lines.select(["place", "grade"])


def _load(path: Path) -> Loaded:
    """The columns key and grade as text; the others are not looked at, whatever a spreadsheet made of them."""
    if path.suffix.lower() not in (".csv", ".tsv", ".txt"):
        raise UserError(f"graded={path}: is no csv; save the spreadsheet as csv and give that file")
    if not path.is_file():
        raise UserError(f"graded={path}: no such file; give the csv that sample wrote and people filled in")
    with parse_errors(path):
        loaded = read_delimited(path, Form(setting=""))
    missing = [name for name in NEEDED if name not in loaded.table.column_names]
    if missing:
        present = ", ".join(loaded.table.column_names)
        raise UserError(f"{path}: missing column {', '.join(missing)}; present: {present}; keep the columns of sample")
    if not len(loaded.table) and not loaded.faults:
        raise UserError(f"{path}: the file holds no rows; give the csv that sample wrote")
    texts = loaded.table.select(list(NEEDED))
    if faults := list(undecodable(texts, loaded.rows, path)):
        raise UserError(f"{path}: column {faults[0].problem}; {faults[0].remedy}")
    return replace(loaded, table=pa.table({name: pc.fill_null(texts[name], "") for name in NEEDED}))


def graded_sections(facts: dict) -> list[Section]:
    """The answer, the rules, the people and where labels and grades part."""
    people = [[line["file"], count(line["graded"]), count(line["ungraded"])] for line in facts["graders"]]
    between = [[*line["graders"], count(line["n"]), *agreed(line)[2:]] for line in facts["between"]]
    cells = [[name, *map(count, line)] for name, line in zip(LABELS, facts["confusion"], strict=True)]
    graders = [Table(["file", "graded", "ungraded"], people, left=1)]
    if between:
        graders.append(Table(["grader", "other grader", "pairs", *AGREED[2:]], between, left=2))
    return [
        Section("", [_opening(facts)]),
        Section("Rules", [_rules_table(facts), KAPPA_NOTE]),
        Section("Graders", [*graders]),
        Section("Labels (rows) and grades (columns)", [Table(["label", *LABELS], cells, left=1)]),
    ]


def _opening(facts: dict) -> str:
    whole = facts["all"]
    grades = f"{whole['graded']:,} grades, {whole['ungraded']:,} left empty"
    if whole["kappa"] is None:
        return f"{grades}: too few, or all alike, for a kappa."
    kappa = f"kappa {decimal(whole['kappa'])} ({agreed(whole)[-1]})"
    text = f"{grades}: {share(whole['agreement'])} % equal the label, {kappa}."
    known = [rule for rule in facts["rules"] if rule["agreement"] is not None]
    if len(known) < 2:
        return text
    low = min(known, key=lambda rule: rule["agreement"])
    rule = f"{low['task']} {low['source'] or NONE}"
    return f"{text} Least to be trusted: {rule}, {share(low['agreement'])} % of {low['graded']:,} equal."


def _rules_table(facts: dict) -> Table:
    tasks = [{"source": "all rules", "weighted": None} | line for line in facts["tasks"]]
    lines = [*facts["rules"], *tasks, {"task": "all", "source": "", "weighted": None} | facts["all"]]
    body = []
    for line in lines:
        source = NONE if line["source"] is None else line["source"]
        tally = count(line["graded"]), count(line["ungraded"]), share(line["weighted"])
        body.append([line["task"], source, *tally, *agreed(line)[2:]])
    return Table(["task", "rule", "graded", "ungraded", "in the table %", *AGREED[2:]], body, left=2)
