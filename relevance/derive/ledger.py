"""What became of the rows: of each rule found, settled, kept at every step; steps add up from the first to the last.

rule           found  one label  apart  capped  kept
both relevant  4,112     -1,204   -310    -977  1,621
"""

from dataclasses import dataclass, field
from itertools import pairwise

from relevance.derive.candidates import Made
from relevance.derive.database import Database
from relevance.derive.rules import RULES


@dataclass
class Ledger:
    """Rows of each rule after each step, in the order of the steps."""

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
