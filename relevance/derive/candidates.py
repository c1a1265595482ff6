"""Rules over the world → pairs with one label each, and a ledger of each rule's rows after every step.

"both relevant" finds (item 3, item 17) with 4 votes, "relevant and irrelevant" with 1 → (3, 17) label 2, by the former
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import pairwise

import pyarrow as pa

from relevance.cli import echo
from relevance.data.database import Database
from relevance.derive.options import DeriveOptions, RuleOptions
from relevance.derive.rules import RULES, VIEWS, Rule
from relevance.derive.world import LABEL, World, agreeing
from relevance.tasks import TASK_NAMES, TASKS

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

    found: dict[str, int]  # of each rule
    differing: int  # pairs with more than one label
    alike: int  # rows whose two texts are the same, where both are of one kind


def usable_rules(options: DeriveOptions, world: World) -> tuple[list[Rule], dict[str, str]]:
    """The rules to use, and for each of the others why not."""
    rules, idle = [], {}
    for rule in RULES:
        lacking = [need for need in rule.needs if need != "mined" and not world.has(need)]
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
    drawn = [_draws(task) for task in TASK_NAMES if task.endswith("_type") or task == "query_query"]
    database.make("draw", " UNION ALL ".join(drawn), _settings(options))


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
    """What a query may name."""
    return {"seed": options.seed} | asdict(options.rules) | asdict(options.caps)


def _draws(task: str) -> str:
    """For each left entity of a task $draws right ones, whatever they are."""
    left, right = TASKS[task].left, TASKS[task].right
    return f"""SELECT '{task}' AS task, n AS l, (hash(n, k, '{task}', $seed) % size)::INTEGER AS r, false AS mined
        FROM {left}, range($draws) d(k), (SELECT count(*) AS size FROM {right}) WHERE size > 0"""


def _numbered(rule: Rule) -> str:
    return f"""SELECT {RULES.index(rule)} AS rule, l, r, a.x AS lx, b.x AS rx, label::TINYINT AS label, votes
        FROM ({rule.query}) JOIN {rule.kinds.left} a ON a.n = l JOIN {rule.kinds.right} b ON b.n = r"""


def _settled(at: int, task: str, rules: list[Rule], settings: RuleOptions, database: Database) -> Made:
    """Append the task's pairs to `pair`: one row for each two texts, with the label that settles them."""
    turned = "rule, label, votes, l, r, lx, rx FROM candidate"
    if TASKS[task].symmetric:  # the lower text first, and no text beside itself
        turned = f"rule, label, votes, {turned_sides('lx > rx')} FROM candidate WHERE lx <> rx"
    database.make(
        "vote",
        f"""SELECT lx, rx, label, sum(votes) AS votes, {FIRST} AS first FROM (SELECT {turned}) GROUP BY ALL""",
    )
    database.append(
        "pair",
        f"""SELECT {at}::TINYINT AS task, (first >> 56)::TINYINT AS rule,
            ((first >> 28) & {ENTITIES - 1})::INTEGER AS l, (first & {ENTITIES - 1})::INTEGER AS r, lx, rx, label
        FROM (SELECT lx, rx, {LABEL[settings.settle]} AS label FROM vote GROUP BY lx, rx {agreeing(settings.settle)})
        JOIN vote USING (lx, rx, label)""",
    )
    return _made(task, rules, database)


def _made(task: str, rules: list[Rule], database: Database) -> Made:
    rows = dict(database.rows("SELECT rule, count(*) FROM candidate GROUP BY rule"))
    alike = "SELECT count(*) FROM candidate WHERE lx = rx" if TASKS[task].symmetric else "SELECT 0"
    differing = "SELECT count(*) FROM (SELECT 1 FROM vote GROUP BY lx, rx HAVING count(*) > 1)"
    counts = [database.rows(query)[0][0] for query in (differing, alike)]
    return Made({rule.name: rows.get(RULES.index(rule), 0) for rule in rules}, *counts)


def turned_sides(condition: str) -> str:
    """The columns l, r, lx and rx, left and right exchanged where `condition` holds."""
    sides = (("l", "r"), ("r", "l"), ("lx", "rx"), ("rx", "lx"))
    return ", ".join(f"CASE WHEN {condition} THEN {there} ELSE {here} END AS {here}" for here, there in sides)


@dataclass
class Ledger:
    """Rows of each rule after each step, in the order of the steps.

    rule           found  - settled  - apart  - capped   kept
    both relevant  4,112      1,204      310       977  1,621
    """

    steps: dict[str, dict[str, int]] = field(default_factory=dict)
    made: dict[str, Made] = field(default_factory=dict)

    def found(self, task: str, made: Made) -> None:
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
        """A table in words: what each rule found, what each step took away, what is kept."""
        steps = list(self.steps)
        body = [("rule", "task", "found", *(f"- {step}" for step in steps[1:]), "kept")]
        for rule in RULES:
            if rule.name in self.steps["found"]:
                rows = [self.steps[step][rule.name] for step in steps]
                taken = [f"{before - after:,}" for before, after in pairwise(rows)]
                body.append((rule.name, rule.task, f"{rows[0]:,}", *taken, f"{rows[-1]:,}"))
        return body
