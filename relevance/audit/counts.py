"""A table of pairs → every number of its audit, as plain data with stable keys: what audit.json holds; limits of leaks.

limits.left=0, 107 of 3,331 test rows with a left entity of training → UserError with rows 17, 44, ...

Counted in a database, of the rows that keep the contract one by one: pair(place, task, split, label, l, r, lx, rx,
source, ...). `place` is the row's in the table; l and r number the entities, lx and rx the texts; low, high, low_text
and high_text are the same in order.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby, product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relevance.audit.commands import Limits
from relevance.config import DataConfig
from relevance.data.contract import pair_text, sound_pairs
from relevance.data.database import Database, opened
from relevance.data.entities import Keys, entity_keys, side_entities
from relevance.data.faults import LISTED, Fault, Loaded, faulty_rows
from relevance.data.floors import Labelled, lexical_floor, majority_floor
from relevance.data.table import Rows, load_pairs, with_split
from relevance.errors import UserError
from relevance.metrics import Scores
from relevance.tasks import LABELS, SPLITS, TASK_NAMES, TASKS

DRAWS = 1_000
INTERVAL = (2.5, 97.5)  # percentiles of the draws
CELLS = list(product(range(len(LABELS)), repeat=2))
ALL = "all"  # tasks, where parts are named
ANNOTATOR = "annotator"  # column of the user's own that `pair` has too
ENTITIES = "low, high"  # columns that are equal where the pairs are; of two tasks they never are
TASK_TEXTS = "task, low_text, high_text, swapped"  # in either order where the task's sides are of one kind
TEXTS = "low_text, high_text"  # whatever the task
BY_LABEL = f"[{', '.join(f'count_if(label = {label})' for label in range(len(LABELS)))}]"  # rows [3]
PERCENTILES = (5, 50, 95, 99, 100)
GROUPS = """(SELECT task, count(*) AS n, min(l > r) <> max(l > r) AS mirrored, min(label) <> max(label) AS conflicting,
    min(split) <> max(split) AS apart FROM pair GROUP BY task, {})"""
SOURCES_SHOWN = 40  # rules of a task with a line of their own
COPIES = {  # of pairs with n rows each
    "pairs": "count_if(n > 1)",
    "rows": "sum(n) - count(*)",
    "mirrored": "count_if(mirrored)",
    "conflicting": "count_if(conflicting)",
    "conflicting_rows": "coalesce(sum(n) FILTER (conflicting), 0)",
}
SIDES = ("left", "right", "either", "both")
OWN = "own_"  # before the sides that are seen within the row's own task
PAIRS = ("pair", "texts")
PAIR = ["task", "left", "right", "left_id", "right_id"]  # columns that name a pair
SEEN = {  # what limits.* call a leak
    "left": "a left entity seen in training (any task, either side)",
    "right": "a right entity seen in training (any task, either side)",
    "either": "an entity seen in training (any task, either side)",
    "pair": "a pair seen in training (same task, by entities or texts, mirrored ones too)",
    "texts": "two texts seen in training (any task, either order)",
}
MOVE = "move these rows to train, or remove them or the training rows they meet"
REDIVIDE = "or drop the split column, so that left entities are divided anew"
LEAKED = f"""WITH trained AS (FROM pair WHERE split = {SPLITS.index("train")}),
    entity AS (SELECT task, l AS n FROM trained UNION SELECT task, r FROM trained),
    test AS (SELECT place, task, l IN (SELECT n FROM entity) AS a, r IN (SELECT n FROM entity) AS b,
        (task, l) IN (SELECT task, n FROM entity) AS own_a, (task, r) IN (SELECT task, n FROM entity) AS own_b,
        ({ENTITIES}) IN (SELECT {ENTITIES} FROM trained)
            OR ({TASK_TEXTS}) IN (SELECT {TASK_TEXTS} FROM trained) AS pair,
        ({TEXTS}) IN (SELECT {TEXTS} FROM trained) AS texts FROM pair WHERE split = {SPLITS.index("test")})
SELECT place, task, a AS "left", b AS "right", a OR b AS either, a AND b AS both,
    own_a AS own_left, own_b AS own_right, own_a OR own_b AS own_either, own_a AND own_b AS own_both,
    pair, texts FROM test"""
BASELINE_SEED = 0  # of the rows of larger tables
BASELINE_ROWS = {"train": 20_000, "test": 10_000}  # of a task, at most


@dataclass(frozen=True, eq=False)
class Opened:
    """Rows that keep the contract one by one; pairs may be repeated and may contradict one another."""

    name: str  # of the file
    table: pa.Table  # [N], with a split
    keys: Keys
    faults: tuple[Fault, ...]  # of the rows that were set aside
    counted: str  # how rows are numbered
    divided: str  # how the split was made; "" where the file has one


def open_source(data: DataConfig) -> Opened:
    """The table that `data` names, divided as `prepare_rows` does; rows that break the contract are set aside."""
    return check_source(*load_pairs(data), data)


def check_source(name: str, loaded: Loaded, data: DataConfig) -> Opened:
    """The same of a loaded table; `name` is what an error calls it."""
    sound = sound_pairs(loaded, name)
    sound.check(name, set_aside=True)
    divided = "split" not in sound.table.column_names
    how = f"by left entity, seed {data.seed}, shares {data.validation_share} and {data.test_share}"
    keys = entity_keys(sound.table)
    return Opened(name, with_split(sound.table, data), keys, sound.faults, loaded.counted, how if divided else "")


@contextmanager
def pairs_database(table: pa.Table, keys: Keys) -> Iterator[Database]:
    """A database with the table `pair` of the rows of `table`, which has a split."""
    left, right = side_entities(keys)
    numbers = {"place": np.arange(len(table)), "task": keys.task, "l": left, "r": right}
    numbers |= {"lx": keys.left_text, "rx": keys.right_text}
    columns = {"split": pc.index_in(table["split"], pa.array(SPLITS))}
    columns |= {name: table[name] for name in ("label", "source", ANNOTATOR) if name in table.column_names}
    symmetric = tuple(at for at, task in enumerate(TASKS.values()) if task.symmetric)
    with TemporaryDirectory() as folder, opened(Path(folder)) as database:
        database.put("arrived", pa.table(numbers | columns))
        database.make(
            "pair",
            f"""SELECT *, least(l, r) AS low, greatest(l, r) AS high, least(lx, rx) AS low_text,
                greatest(lx, rx) AS high_text, lx > rx AND task NOT IN {symmetric} AS swapped FROM arrived""",
        )
        yield database


def by_task(database: Database, rows: str, columns: Mapping[str, str]) -> dict[str, dict]:
    """The aggregates `columns` (name: SQL) over the query or table `rows`, for each task that has any and for all."""
    aggregates = ", ".join(columns.values())
    lines = database.rows(f"SELECT task, {aggregates} FROM {rows} GROUP BY ROLLUP (task) ORDER BY task NULLS LAST")
    names = {None: ALL} | dict(enumerate(TASK_NAMES))
    return {names[task]: dict(zip(columns, values, strict=True)) for task, *values in lines}


def audit_facts(pairs: Opened) -> dict:
    """The audit of a table; the same rows give the same numbers."""
    with pairs_database(pairs.table, pairs.keys) as database:
        return {
            "file": pairs.name,
            "rows": _rows(pairs),
            "split": {"given": not pairs.divided, "divided": pairs.divided or None},
            "labels": label_table(database),
            "sources": source_counts(database),
            "copies": copies(database),
            "shared_texts": shared_texts(database),
            "leaks": leak_shares(database),
            "elsewhere": elsewhere(database),
            "lengths": {"percentiles": list(PERCENTILES), "tasks": text_lengths(pairs, database)},
            "baseline": {"most": BASELINE_ROWS, "seed": BASELINE_SEED, "tasks": baseline(pairs)},
            "agreement": judged(database, pairs),
        }


def _rows(pairs: Opened) -> dict:
    reasons = [
        {"problem": fault.problem, "remedy": fault.remedy, "rows": len(fault.rows)}
        | {"first": fault.rows[:LISTED].tolist()}
        for fault in pairs.faults
    ]
    aside, sound = len(faulty_rows(pairs.faults)), len(pairs.table)
    counts = {"read": sound + aside, "sound": sound, "set_aside": aside}
    return counts | {"reasons": reasons, "counted": pairs.counted}


def label_table(database: Database) -> dict[str, dict[str, dict]]:
    """By task (and of all) and split: rows, of each label [3], and their shares [3]."""
    columns = {split: BY_LABEL.replace("(", f"(split = {at} AND ") for at, split in enumerate(SPLITS)}
    tasks = by_task(database, "pair", columns)
    return {task: {split: _shares(labels) for split, labels in splits.items()} for task, splits in tasks.items()}


def _shares(labels: list[int]) -> dict:
    n = sum(labels)
    return {"rows": n, "labels": labels, "shares": [count / n for count in labels] if n else None}


def source_counts(database: Database) -> dict[str, list[dict]]:
    """The rules of each task, of most rows first, with their rows by label [3]; from the 41st on one counts them."""
    lines = database.rows(
        f"""SELECT task, source, {BY_LABEL} FROM pair WHERE (SELECT count(source) FROM pair) > 0
        GROUP BY task, source ORDER BY task, count(*) DESC, coalesce(source, '')"""
    )
    sources: dict[str, list[dict]] = {}
    for task, group in groupby(lines, key=lambda line: line[0]):
        rules = [{"source": source, "labels": labels} for _, source, labels in group]
        sources[TASK_NAMES[task]] = rules[:SOURCES_SHOWN]
        if others := [rule["labels"] for rule in rules[SOURCES_SHOWN:]]:
            sources[TASK_NAMES[task]].append({"others": len(others), "labels": np.sum(others, axis=0).tolist()})
    return sources


def copies(database: Database) -> dict[str, dict[str, dict[str, int]]]:
    """By task (and of all), by entities and by texts, whatever the ids of these: COPIES."""
    ways = {"entities": GROUPS.format(ENTITIES), "texts": GROUPS.format(TASK_TEXTS)}
    return _transposed({way: by_task(database, groups, COPIES) for way, groups in ways.items()})


def shared_texts(database: Database) -> list[dict]:
    """For every two tasks that share pairs of texts: how many, and of how many the labels (any of several) differ."""
    database.make("labelled", f"SELECT task, {TEXTS}, bit_or(1 << label) AS labels FROM pair GROUP BY task, {TEXTS}")
    lines = database.rows(
        """SELECT a.task, b.task, count(*), count_if(a.labels <> b.labels)
        FROM labelled a JOIN labelled b USING (low_text, high_text) WHERE a.task < b.task GROUP BY ALL"""
    )
    shared = [
        {"tasks": [TASK_NAMES[a], TASK_NAMES[b]], "pairs": n, "differing": differing, "share": differing / n}
        for a, b, n, differing in lines
    ]
    return sorted(shared, key=lambda line: (-line["differing"], -line["pairs"], line["tasks"]))


def leak_shares(database: Database) -> dict[str, dict]:
    """By task of test rows (and of all): n, then rows and share of each kind of leak; makes the table `leaked`.

    What counts as seen: audit.page.SEEN_NOTE.
    """
    database.make("leaked", LEAKED)
    share = """{{'rows': count(*) FILTER ("{0}"), 'share': count(*) FILTER ("{0}") / nullif(count(*), 0)}}"""
    names = (*SIDES, *(OWN + side for side in SIDES), *PAIRS)
    return by_task(database, "leaked", {"n": "count(*)"} | {name: share.format(name) for name in names})


def elsewhere(database: Database) -> dict[str, dict[str, int]]:
    """By task (and of all): rows whose pair stands in another split, or whose two texts stand under another task."""
    under = f"""(SELECT task, count(*) AS n, count(*) OVER (PARTITION BY {TEXTS}) > 1 AS apart
        FROM pair GROUP BY task, {TEXTS})"""
    marks = {
        "other_split_entities": GROUPS.format(ENTITIES),
        "other_split_texts": GROUPS.format(TASK_TEXTS),
        "other_task_texts": under,
    }
    rows = "coalesce(sum(n) FILTER (apart), 0)"
    parts = _transposed({mark: by_task(database, groups, {"rows": rows}) for mark, groups in marks.items()})
    return {task: {mark: counts["rows"] for mark, counts in marks.items()} for task, marks in parts.items()}


def text_lengths(pairs: Opened, database: Database) -> dict[str, dict[str, dict[str, list[int]]]]:
    """By task (and of all), side and unit the PERCENTILES [5], each a length that occurs; words end at white space."""
    shares = [percentile / 100 for percentile in PERCENTILES]
    sides = {}
    for side in ("left", "right"):
        text = pairs.table[side]
        units = {"characters": pc.utf8_length(text), "words": pc.count_substring_regex(text, r"\S+")}
        database.put("length", pa.table({"task": pairs.keys.task} | units))
        sides[side] = by_task(database, "length", {unit: f"quantile_disc({unit}, {shares})" for unit in units})
    return _transposed(sides)


def judged(database: Database, pairs: Opened) -> dict[str, object]:
    """Agreement by task (and of all) over rows of one task with the same left and right entity, and their order."""
    named = ANNOTATOR in pairs.table.column_names
    order = f"{ANNOTATOR} NULLS LAST, place" if named else "place"
    couples, counts = count_couples(database, successive("pair", "task, l, r", order), "task, l, r")
    task = couples["task"].to_numpy()
    tasks = {TASK_NAMES[code]: agreement(counts[task == code]) for code in np.unique(pairs.keys.task)}
    tasks[ALL] = agreement(counts)
    return {"order": f"column {ANNOTATOR}" if named else "rows in the file", "tasks": tasks}


def baseline(pairs: Opened) -> dict[str, dict]:
    """By task of test rows (and of all of them): the rows looked at and the accuracy of both floors on them.

    Where no task has more than BASELINE_ROWS the numbers are those of the report's floors; None without training rows.
    """
    chosen = _baseline_rows(pairs)
    table, task = pairs.table.take(pa.array(chosen)), pairs.keys.task[chosen]
    train, label = pc.equal(table["split"], "train").to_numpy(), table["label"].to_numpy()
    if train.all() or not train.any():
        return {}
    rows = Labelled(task, table["left"], table["right"], label, train)
    floors = {"majority": majority_floor, "lexical": lexical_floor}
    hits = {name: floor(rows).argmax(axis=1) == label[~train] for name, floor in floors.items()}
    parts = {TASK_NAMES[code]: task == code for code in np.unique(task[~train])} | {ALL: task >= 0}
    return {name: _accuracies(of_task[train], of_task[~train], hits) for name, of_task in parts.items()}


def _baseline_rows(pairs: Opened) -> np.ndarray:
    """Places [n] of the training and test rows looked at, ascending."""
    rng = np.random.default_rng(BASELINE_SEED)
    rows = []
    for task in range(len(TASK_NAMES)):
        for split, most in BASELINE_ROWS.items():
            at = np.flatnonzero((pairs.keys.task == task) & pc.equal(pairs.table["split"], split).to_numpy())
            rows.append(at if len(at) <= most else rng.choice(at, most, replace=False))
    return np.sort(np.concatenate(rows))


def _accuracies(fit: np.ndarray, test: np.ndarray, hits: dict[str, np.ndarray]) -> dict:
    line: dict = {"train": int(fit.sum()), "test": int(test.sum())}
    line |= {name: float(right[test].mean()) if fit.any() else None for name, right in hits.items()}
    return line | {"gain": line["lexical"] - line["majority"] if fit.any() else None}


def hold_limits(limits: Limits, rows: Rows, name: str) -> None:
    """Raise one UserError that names every limit which the test rows of the file `name` cross, and the rows by id."""
    shares = limits.shares()
    with pairs_database(rows.table, entity_keys(rows.table)) as database:
        leaks = leak_shares(database)
        lines = [
            line
            for limit, most in shares.items()
            if leaks[ALL][limit]["share"] > most
            for line in _crossing(f"limits.{limit}={most:g}", limit, leaks, rows, database)
        ]
    if lines:
        raise UserError("\n".join([f"{name}: leaks beyond a limit", *lines]))


def _crossing(setting: str, limit: str, shares: dict[str, dict], rows: Rows, database: Database) -> list[str]:
    share, n, leaked = shares[ALL][limit]["share"], shares[ALL]["n"], shares[ALL][limit]["rows"]
    query = f'SELECT place FROM leaked WHERE "{limit}" ORDER BY place LIMIT {LISTED}'
    at = [place for (place,) in database.rows(query)]
    numbers, cells = rows.numbers[at], rows.table.select(PAIR).take(at).to_pylist()
    tasks = {task: seen for task, seen in shares.items() if task != ALL}
    by_task = ", ".join(f"{task} {seen[limit]['rows']:,} of {seen['n']:,}" for task, seen in tasks.items())
    move = f"{MOVE}, {REDIVIDE}" if limit == "left" else MOVE
    return [
        f"  {setting}: {100 * share:.1f} % of {n:,} test rows ({leaked:,}) have {SEEN[limit]}",
        f"    by task: {by_task}",
        *(f"      row {number}: {pair_text(cell)}" for cell, number in zip(cells, numbers, strict=True)),
        *([f"      … and {leaked - LISTED:,} more"] if leaked > LISTED else []),
        f"    remedy: {move}, or raise limits.{limit}",
    ]


def successive(rows: str, pair: str, order: str) -> str:
    """A query for the couples of successive judgements of a pair in the table `rows`."""
    judgements = f"SELECT *, lead(label) OVER (PARTITION BY {pair} ORDER BY {order}) AS other FROM {rows}"
    return f"SELECT * FROM ({judgements}) WHERE other IS NOT NULL"


def count_couples(database: Database, couples: str, by: str) -> tuple[pa.Table, np.ndarray]:
    """The groups [G] of the columns `by` in the query `couples`, and their counts [G, 3, 3] by `label` and `other`."""
    cells = ", ".join(f"count_if(label = {a} AND other = {b})::BIGINT AS c{a}{b}" for a, b in CELLS)
    table = database.table(f"SELECT {by}, {cells} FROM ({couples}) GROUP BY {by}")
    counts = np.stack([table[f"c{a}{b}"].to_numpy() for a, b in CELLS], axis=1)
    return table, counts.reshape(-1, len(LABELS), len(LABELS))


def agreement(counts: np.ndarray) -> dict[str, float | int | None]:
    """n couples on how many pairs, the share of equal ones, Cohen's kappa with quadratic weights and its 95 % interval.

    `counts` [G, 3, 3] are by pair; the interval is of draws of the pairs, always the same. None: no couple, or one
    side with one label throughout, whose kappa is 0 whatever the other holds.
    """
    whole = counts.sum(axis=0)
    n = int(whole.sum())
    several = min((whole.sum(axis=axis) > 0).sum() for axis in (0, 1)) > 1
    facts: dict[str, float | int | None] = {"n": n, "pairs": len(counts)}
    facts["agreement"] = float(np.trace(whole) / n) if n else None
    kappas = Scores(np.concatenate([whole[None], _draw(counts)])).kappa if several else np.full(1, np.nan)
    known = kappas[1:][~np.isnan(kappas[1:])]
    low, high = np.percentile(known, INTERVAL).tolist() if len(known) and not np.isnan(kappas[0]) else (None, None)
    return facts | {"kappa": None if np.isnan(kappas[0]) else float(kappas[0]), "low": low, "high": high}


def _draw(counts: np.ndarray) -> np.ndarray:
    """Sums [DRAWS, 3, 3] over as many pairs as there are, drawn with replacement: pairs that look alike are one."""
    shapes, pairs = np.unique(counts.reshape(len(counts), -1), axis=0, return_counts=True)
    drawn = np.random.default_rng(0).multinomial(len(counts), pairs / len(counts), DRAWS)
    return (drawn @ shapes).reshape(DRAWS, *counts.shape[1:])


def _transposed(parts: dict[str, dict[str, dict]]) -> dict[str, dict[str, dict]]:
    """{part: {task: ...}} → {task: {part: ...}}"""
    return {task: {part: tasks[task] for part, tasks in parts.items()} for task in parts[next(iter(parts))]}
