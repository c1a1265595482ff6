"""Options → a table of pairs on disk, its record and its quarantine: the steps in their order."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter

from relevance import whole
from relevance.commands import say
from relevance.data.writers import writable
from relevance.derive import candidates, divide, similar, thin, world, write
from relevance.derive.database import Database, opened
from relevance.derive.files import BESIDE, INPUTS
from relevance.derive.ledger import Ledger
from relevance.derive.options import DeriveOptions
from relevance.derive.quarantine import Quarantine
from relevance.errors import UserError
from relevance.provenance import DERIVING, commit, versions
from relevance.tasks import SPLITS, TASK_NAMES

ASIDE, RECORD = BESIDE
STEPS = {"apart": divide.divide, "similar": similar.filter_pairs, "capped": thin.cap, "balanced": thin.balance}


@dataclass(frozen=True)
class Derived:
    """What was made of what."""

    rows: int
    inputs: dict[str, int]  # rows of each kind of input, and what they hold
    agreement: dict[str, float | int | None]  # of people who judged the same pair
    faults: list[dict[str, object]]
    ledger: Ledger
    idle: dict[str, str]  # rules that were not used, and why
    splits: dict[str, dict[str, list[int]]]  # task: split: rows of labels 0, 1, 2


def derive(options: DeriveOptions) -> Derived:
    """Write options.output; raises UserError where the inputs are at fault or no pair comes of them."""
    output = Path(options.output or "")
    writable(output)
    quarantine, ledger = Quarantine(), Ledger()
    with (
        whole.scratch(whole.sibling(output, "work")) as folder,
        opened(folder, options.memory, options.threads) as database,
    ):
        with _told("inputs"):
            found = world.load(options, quarantine, database)
            quarantine.close(options.on_bad_row, whole.sibling(output, ASIDE))
        rules, idle = candidates.usable(options, found)
        _choose(rules, options, database, ledger)
        with _told("writing"):
            rows = write.write(output, database)
        derived = Derived(
            rows, quarantine.read | found.counts, found.agreement, quarantine.counts(), ledger, idle, _splits(database)
        )
    write.record(whole.sibling(output, RECORD), told(options, derived))
    return derived


def told(options: DeriveOptions, derived: Derived) -> dict[str, object]:
    """What a reader needs to make the table again, and to see what became of each row."""
    return {"options": asdict(options), **commit(), "packages": versions(DERIVING), **asdict(derived)}


def _choose(rules: list, options: DeriveOptions, database: Database, ledger: Ledger) -> None:
    """Fill `pair` with the rows to write."""
    candidates.prepare(options, database)
    if options.similarity.mine:
        with _told("mining"):
            similar.mine(options, database)
    with _told("rules"):
        for task, made in candidates.make(rules, options, database):
            ledger.found(task, made)
        ledger.record("settled", database)
    if not database.count("pair"):
        given = [name for name in INPUTS if getattr(options, name)]
        raise UserError(
            f"derive: {len(rules)} rules found no pair in {' and '.join(given)}; items alone make none: add "
            "judgements=FILE, or a tree of types by taxonomy=FILE; with these, look at their grades, ids and parents"
        )
    with _told("splits, filter, caps"):
        for step, narrow in STEPS.items():
            narrow(options, database)
            ledger.record(step, database)
    if not database.count("pair"):
        raise UserError(f"derive: no pair is left; rows after each step: {ledger.totals()}; widen splits and caps")


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
def _told(what: str) -> Iterator[None]:
    started = perf_counter()
    yield
    say(f"{what}: {perf_counter() - started:.1f} s")
