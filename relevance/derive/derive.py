"""Options → a table of pairs on disk, its record and its quarantine: the steps in their order.

pairs.parquet: task, left, right, label, split, left_id, right_id, source (the rule), sorted by task, split and texts
pairs.derive.json: what a reader needs to make the table again, and to see what became of each row
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import pyarrow as pa

from relevance.atomic_io import scratch_folder, sibling, write_text
from relevance.cell_id import DERIVING, git_commit, package_versions
from relevance.cli import echo
from relevance.data.database import Database, opened
from relevance.data.writers import streamed, writable
from relevance.derive import pairs
from relevance.derive.commands import DeriveOptions
from relevance.derive.files import BESIDE, INPUTS
from relevance.derive.quarantine import Quarantine
from relevance.derive.rules import RULES, Rule
from relevance.derive.similarity import filter_pairs, mine_negatives
from relevance.derive.world import load_world
from relevance.errors import UserError
from relevance.outputs import check_listing, check_table, check_text
from relevance.tasks import SPLITS, TASK_NAMES, TASKS

ASIDE, RECORD = BESIDE
STEPS = {
    "apart": pairs.divide_entities,
    "similar": filter_pairs,
    "capped": pairs.cap_entities,
    "balanced": pairs.balance_tasks,
}
COLUMNS = ("task", "left", "right", "label", "split", "left_id", "right_id", "source")
SCHEMA = pa.schema([(name, pa.int8() if name == "label" else pa.string()) for name in COLUMNS])
CHUNK_ROWS = 200_000  # written at a time
RECORD_START = '{\n "options":'


@dataclass(frozen=True)
class Derived:
    rows: int
    inputs: dict[str, int]  # rows of each kind of input, and what they hold
    agreement: dict[str, float | int | None]  # of people who judged the same pair
    faults: list[dict[str, Any]]
    ledger: pairs.Ledger
    idle: dict[str, str]  # rules that were not used, and why
    splits: dict[str, dict[str, list[int]]]  # task: split: rows of labels 0, 1, 2


def derive_pairs(options: DeriveOptions) -> Derived:
    """Write options.output; raises UserError where the inputs are at fault or no pair comes of them."""
    output = Path(options.output or "")
    writable(output)
    check_table(output, SCHEMA.names.__eq__)
    check_text(sibling(output, RECORD), RECORD_START)
    check_listing(sibling(output, ASIDE))
    quarantine, ledger = Quarantine(), pairs.Ledger()
    with scratch_folder(sibling(output, "work")) as folder, opened(folder, options.memory, options.threads) as database:
        with _timed("inputs"):
            world = load_world(options, quarantine, database)
            quarantine.close(options.on_bad_row, sibling(output, ASIDE))
        rules, idle = pairs.usable_rules(options, world)
        _choose(rules, options, database, ledger)
        with _timed("writing"):
            rows = _write_pairs(output, database)
        inputs = quarantine.read | world.counts
        derived = Derived(rows, inputs, world.agreement, quarantine.counts(), ledger, idle, _splits(database))
    record = {"options": asdict(options), **git_commit(), "packages": package_versions(DERIVING), **asdict(derived)}
    write_text(sibling(output, RECORD), json.dumps(record, indent=1, ensure_ascii=False, default=str) + "\n")
    return derived


def _choose(rules: list[Rule], options: DeriveOptions, database: Database, ledger: pairs.Ledger) -> None:
    """Fill `pair` with the rows to write."""
    pairs.prepare_rules(options, database)
    if options.similarity.mine:
        with _timed("mining"):
            mine_negatives(options, database)
    with _timed("rules"):
        for task, made in pairs.make_pairs(rules, options, database):
            ledger.start(task, made)
        ledger.record("settled", database)
    if not database.count("pair"):
        inputs = [name for name in INPUTS if getattr(options, name)]
        why = f"{len(rules)} rules found no pair in {' and '.join(inputs)}; items alone make none"
        remedy = "add judgements=FILE, or a tree of types by taxonomy=FILE"
        raise UserError(f"derive: {why}: {remedy}; with these, look at their grades, ids and parents")
    with _timed("splits, filter, caps"):
        for step, narrow in STEPS.items():
            narrow(options, database)
            ledger.record(step, database)
    if not database.count("pair"):
        raise UserError(f"derive: no pair is left; rows after each step: {ledger.totals()}; widen splits and caps")


def _write_pairs(path: Path, database: Database) -> int:
    """Write `pair` to `path`, whole or not at all; how many rows."""
    database.put("named", pa.table({"rule": range(len(RULES)), "source": [rule.name for rule in RULES]}))
    database.put("splits", pa.table({"split": range(len(SPLITS)), "part": list(SPLITS)}))
    rows = 0
    with streamed(path, SCHEMA) as writer:
        for at, (name, task) in enumerate(TASKS.items()):
            query = f"""SELECT '{name}' AS task, a.text AS left, b.text AS right, label, part AS split,
                a.id AS left_id, b.id AS right_id, source
                FROM pair JOIN {task.left} a ON a.n = l JOIN {task.right} b ON b.n = r
                JOIN named USING (rule) JOIN splits USING (split) WHERE task = {at} ORDER BY split, lx, rx"""
            for chunk in database.chunks(query, CHUNK_ROWS):
                writer.write_table(chunk.cast(SCHEMA))
                rows += len(chunk)
    return rows


def _splits(database: Database) -> dict[str, dict[str, list[int]]]:
    rows = database.rows(
        """SELECT task, split, [count_if(label = 0), count_if(label = 1), count_if(label = 2)]
        FROM pair GROUP BY ALL ORDER BY ALL"""
    )
    splits: dict[str, dict[str, list[int]]] = {}
    for task, split, labels in rows:
        splits.setdefault(TASK_NAMES[task], {})[SPLITS[split]] = labels
    return splits


@contextmanager
def _timed(step: str) -> Iterator[None]:
    started = perf_counter()
    yield
    echo(f"{step}: {perf_counter() - started:.1f} s")
