"""Rules over the world → pairs with one label each → those to write: apart by split, capped, balanced.

"both relevant" finds (item 3, item 17) with 4 votes, "relevant and irrelevant" with 1 → (3, 17) label 2, by the former
A query falls to a split by the hash of its text, an item to where most queries it was judged for fall.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import pairwise

import numpy as np
import pyarrow as pa

from relevance.cli import echo
from relevance.data.database import Database
from relevance.data.entities import KINDS, LEFT_KIND, RIGHT_KIND, split_parts
from relevance.derive.commands import DeriveOptions, RuleOptions, Split, TaskOptions
from relevance.derive.rules import RULES, VIEWS, Rule
from relevance.derive.world import LABEL, World, agreeing
from relevance.errors import UserError
from relevance.tasks import SPLITS, TASK_NAMES, TASKS

PAIR = pa.schema(
    [
        ("task", pa.int8()),
        ("rule", pa.int8()),
        *((name, pa.int32()) for name in ("l", "r", "lx", "rx")),
        ("label", pa.int8()),
    ]
)
FIRST = "min((rule::BIGINT << 56) | (l::BIGINT << 28) | r)"  # of several that say the same: by rule, then by numbers
ENTITIES = 1 << 28  # of a kind, so that two of them and a rule are one number


@dataclass(frozen=True)
class Made:
    """What the rules made of one task, in rows."""

    found: dict[str, int]  # rows of each rule
    differing: int  # pairs with more than one label
    alike: int  # rows whose two texts are the same, where both are of one kind
    drawn: int  # rows drawn at random of two texts of which the tree or a person says a label


def usable_rules(options: DeriveOptions, world: World) -> tuple[list[Rule], dict[str, str]]:
    """The rules to use, and for each of the others why not."""
    rules, idle = [], {}
    for rule in RULES:
        lacking = [need for need in rule.needs if need != "mined" and not world.counts[need]]
        if rule.name in options.rules.off:
            idle[rule.name] = "switched off"
        elif lacking:
            idle[rule.name] = f"the inputs have no {' and no '.join(lacking)}"
        elif "mined" in rule.needs and not options.similarity.mine:
            idle[rule.name] = "similarity.mine=0"
        else:
            rules.append(rule)
    return rules, idle


def prepare_rules(options: DeriveOptions, database: Database) -> None:
    """Make the views that rules share, and the table of draws."""
    for name, view in VIEWS.items():
        database.make(name, view, _settings(options))
    draws = [  # for each left entity of a task $draws right ones, whatever they are
        f"""SELECT '{name}' AS task, n AS l, (hash(n, k, '{name}', $seed) % size)::INTEGER AS r, false AS mined
        FROM {task.left}, range($draws) d(k), (SELECT count(*) AS size FROM {task.right}) WHERE size > 0"""
        for name, task in TASKS.items()
        if task.right == "type" or name == "query_query"
    ]
    database.make("draw", " UNION ALL ".join(draws), _settings(options))


def make_pairs(rules: list[Rule], options: DeriveOptions, database: Database) -> Iterator[tuple[str, Made]]:
    """Fill the table `pair` (PAIR) with what `rules` find, task by task."""
    database.put("pair", PAIR.empty_table())
    for at, task in enumerate(TASK_NAMES):
        of_task = [rule for rule in rules if rule.task == task]
        if not of_task:
            continue
        echo(f"{task}: {', '.join(rule.name for rule in of_task)}")
        database.make("candidate", " UNION ALL ".join(map(_numbered, of_task)), _settings(options))
        yield task, _settled(at, task, of_task, options.rules, database)


def _settings(options: DeriveOptions) -> dict[str, object]:
    return {"seed": options.seed} | asdict(options.rules) | asdict(options.caps)


def _numbered(rule: Rule) -> str:
    task = TASKS[rule.task]
    return f"""SELECT {RULES.index(rule)} AS rule, l, r, a.x AS lx, b.x AS rx, label::TINYINT AS label, votes
        FROM ({rule.query}) JOIN {task.left} a ON a.n = l JOIN {task.right} b ON b.n = r"""


def _settled(at: int, task: str, rules: list[Rule], settings: RuleOptions, database: Database) -> Made:
    """Append the task's pairs to `pair`: one row for each two texts, with the label that settles them."""
    turned = "rule, label, votes, l, r, lx, rx FROM candidate"
    if TASKS[task].symmetric:  # the lower text first, and no text beside itself
        turned = f"rule, label, votes, {turned_sides('lx > rx')} FROM candidate WHERE lx <> rx"
    database.make("turned", f"SELECT {turned}")
    drawn = [RULES.index(rule) for rule in rules if rule.drawn]
    fact = "SELECT lx, rx FROM turned WHERE NOT list_contains($drawn, rule)"
    outweighed = f"list_contains($drawn, rule) AND (lx, rx) IN ({fact})"  # another rule says a label of these texts
    gone = database.rows(f"DELETE FROM turned WHERE {outweighed}", {"drawn": drawn})[0][0] if drawn else 0
    database.make("vote", f"SELECT lx, rx, label, sum(votes) AS votes, {FIRST} AS first FROM turned GROUP BY ALL")
    database.append(
        "pair",
        f"""SELECT {at}::TINYINT AS task, (first >> 56)::TINYINT AS rule,
            ((first >> 28) & {ENTITIES - 1})::INTEGER AS l, (first & {ENTITIES - 1})::INTEGER AS r, lx, rx, label
        FROM (SELECT lx, rx, {LABEL[settings.settle]} AS label FROM vote GROUP BY lx, rx {agreeing(settings.settle)})
        JOIN vote USING (lx, rx, label)""",
    )
    return _made(task, rules, gone, database)


def _made(task: str, rules: list[Rule], drawn: int, database: Database) -> Made:
    counts = database.rows("SELECT rule, count(*), count_if(lx = rx) FROM candidate GROUP BY rule")
    rows = {RULES[rule].name: n for rule, n, _ in counts}
    alike = sum(same for *_, same in counts) if TASKS[task].symmetric else 0
    ((differing,),) = database.rows("SELECT count(*) FROM (SELECT 1 FROM vote GROUP BY lx, rx HAVING count(*) > 1)")
    return Made({rule.name: rows.get(rule.name, 0) for rule in rules}, differing, alike, drawn)


def turned_sides(condition: str) -> str:
    """The columns l, r, lx and rx, left and right exchanged where `condition` holds."""
    sides = (("l", "r"), ("r", "l"), ("lx", "rx"), ("rx", "lx"))
    return ", ".join(f"CASE WHEN {condition} THEN {there} ELSE {here} END AS {here}" for here, there in sides)


@dataclass
class Ledger:
    """Rows of each rule after each step, in the order of the steps."""

    steps: dict[str, dict[str, int]] = field(default_factory=dict)
    made: dict[str, Made] = field(default_factory=dict)

    def start(self, task: str, made: Made) -> None:
        self.made[task] = made
        self.steps.setdefault("found", {}).update(made.found)

    def record(self, step: str, database: Database) -> None:
        """Count what is left in `pair`."""
        rows = dict(database.rows("SELECT rule, count(*) FROM pair GROUP BY rule"))
        self.steps[step] = {name: rows.get(at, 0) for at, name in enumerate(rule.name for rule in RULES)}

    def totals(self) -> str:
        """Rows after each step, in words."""
        return ", ".join(f"{step} {sum(rows.values()):,}" for step, rows in self.steps.items())

    def lines(self) -> list[tuple[str, ...]]:
        """A table in words: what each rule found, what each step took away, what is left."""
        steps = list(self.steps)
        body = [("rule", "task", "found", *(f"- {step}" for step in steps[1:]), "kept")]
        for rule in RULES:
            if rule.name in self.steps["found"]:
                rows = [self.steps[step][rule.name] for step in steps]
                taken = [f"{before - after:,}" for before, after in pairwise(rows)]
                body.append((rule.name, rule.task, f"{rows[0]:,}", *taken, f"{rows[-1]:,}"))
        return body


RANK = "row_number() OVER (PARTITION BY task, label, {} ORDER BY hash(task, lx, rx, $seed), lx, rx)"
JUDGED = TASK_NAMES.index("query_item")  # what people labelled is not capped: only tasks.query_item.rows thins it


def divide_entities(options: DeriveOptions, database: Database) -> None:
    """Give each row of `pair` its `split`, that of its left entity; drop those that cross.

    In a symmetric task the entity of the later split goes left. What crosses: see commands.Split.
    """
    _draw_splits(options, database)
    symmetric = tuple(at for at, name in enumerate(TASK_NAMES) if TASKS[name].symmetric)
    turn = f"task IN {symmetric} AND a.part < b.part"
    database.make(
        "pair",
        f"""SELECT task, rule, {turned_sides(turn)}, label, lk, rk,
            CASE WHEN {turn} THEN b.part ELSE a.part END AS split, CASE WHEN {turn} THEN a.part ELSE b.part END AS other
        FROM pair JOIN kinds USING (task)
        JOIN part a ON a.kind = lk AND a.x = lx JOIN part b ON b.kind = rk AND b.x = rx""",
    )
    if options.split is Split.strict:
        database.rows("DELETE FROM pair WHERE split <> other")
    else:
        _drop_crossing(database)


def _draw_splits(options: DeriveOptions, database: Database) -> None:
    """part(kind, x, part): where each text falls; kinds(task, lk, rk): the kinds of a task's sides."""
    database.put("kinds", pa.table([range(len(TASKS)), LEFT_KIND, RIGHT_KIND], ["task", "lk", "rk"]))
    drawn = []
    for at, kind in enumerate(KINDS):
        texts = database.table(f"SELECT DISTINCT x, folded FROM {kind} ORDER BY x")
        part = split_parts(texts["folded"].combine_chunks(), options.seed, options.validation_share, options.test_share)
        drawn.append(pa.table([np.full(len(part), at), texts["x"], part], ["kind", "x", "part"]))
    database.put("drawn", pa.concat_tables(drawn))
    database.make(
        "followed",
        """SELECT x, arg_max(part, votes * 3 + part) AS part FROM (
            SELECT item.x, part, count(*) AS votes FROM judged JOIN item ON item.n = i JOIN query ON query.n = q
            JOIN drawn ON kind = 0 AND drawn.x = query.x GROUP BY ALL) GROUP BY x""",
    )
    database.make(
        "part",
        """SELECT kind, drawn.x AS x, coalesce(followed.part, drawn.part)::TINYINT AS part
        FROM drawn LEFT JOIN followed ON kind = 1 AND followed.x = drawn.x""",
    )


def _drop_crossing(database: Database) -> None:
    """Drop what is on the right in an earlier split than on the left: first of test, then of validation."""
    for name in ("test", "validation"):
        evaluated = "SELECT lk, lx FROM pair WHERE split = $place"
        crossing = f"split < $place AND other = $place AND (rk, rx) IN ({evaluated})"
        database.rows(f"DELETE FROM pair WHERE {crossing}", {"place": SPLITS.index(name)})


def cap_entities(options: DeriveOptions, database: Database) -> None:
    """Keep in `pair` at most so many rows of each entity, task, label and side; query_item has none."""
    for side in ("left", "right"):
        most = {at: getattr(options.caps, getattr(task, side)) for at, task in enumerate(TASKS.values())}
        cases = " ".join(f"WHEN task = {at} THEN {rows}" for at, rows in most.items())
        rank = RANK.format(f"{side[0]}x")
        beyond = f"SELECT rowid FROM pair WHERE task <> {JUDGED} QUALIFY {rank} > CASE {cases} END"
        database.rows(f"DELETE FROM pair WHERE rowid IN ({beyond})", {"seed": options.seed})


def balance_tasks(options: DeriveOptions, database: Database) -> None:
    """Keep in `pair` what the settings of each task ask for; UserError for a share of a label that has no rows."""
    rows = database.rows("SELECT task, label, count(*) FROM pair GROUP BY ALL")
    counts = {(task, label): n for task, label, n in rows}
    limits = []
    for name, shape in options.tasks.items():
        task = TASK_NAMES.index(name)
        there = [counts.get((task, label), 0) for label in range(3)]
        for label, share in enumerate(shape.balance or []):
            if share and not there[label]:
                why = f"there are no rows of label {label}; give it the share 0, or widen rules and caps"
                raise UserError(f"tasks.{name}.balance={shape.balance}: {why}")
        limits += [f"WHEN task = {task} AND label = {label} THEN {n}" for label, n in enumerate(wanted(there, shape))]
    if limits:
        beyond = f"SELECT rowid FROM pair QUALIFY {RANK.format('1')} > CASE {' '.join(limits)} END"
        database.rows(f"DELETE FROM pair WHERE rowid IN ({beyond})", {"seed": options.seed})


def wanted(counts: list[int], shape: TaskOptions) -> list[int]:
    """Rows of each label to keep of `counts`: as many as the shares allow, none drawn twice, at most shape.rows."""
    shares = shape.balance or [n / max(1, sum(counts)) for n in counts]
    shares = [share / (sum(shares) or 1) for share in shares]
    total = min((n / share for n, share in zip(counts, shares, strict=True) if share), default=0)
    total = min(total, shape.rows) if shape.rows is not None else total
    return [min(n, int(total * share + 1e-6)) for n, share in zip(counts, shares, strict=True)]
