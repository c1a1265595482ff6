"""The commands audit and sample of relevance.data, their options, and the limits of validate.

limits.left=0 → a table where any test row's left entity is seen in training is refused
"""

import json
import shlex
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from relevance.atomic_io import sibling, write_text
from relevance.checks import bounds, validate_data
from relevance.cli import listed, parse
from relevance.config import DataConfig, Source, setting
from relevance.errors import UserError
from relevance.outputs import check_text

limit = partial(setting, None, null="no limit", at_least=0, at_most=1)
PRINTED_UNTIL = "\n## Rows by split"  # of audit.md: findings and overview


@dataclass
class Limits:
    """Shares, 0 to 1, of the test rows that training may have seen; null: no limit."""

    left: float | None = limit("entity on either side of a training row of any task")
    right: float | None = limit("the same of the right entity")
    either: float | None = limit("the same of one of them")
    pair: float | None = limit("same task and entities or texts, mirrored ones too")
    texts: float | None = limit("the same two texts, in either order, under any task")

    def shares(self) -> dict[str, float]:
        """Those that are not null; raises UserError for one that is no share."""
        if problems := list(bounds(self, "limits.")):
            raise UserError("; ".join(problems))
        return {name: share for name, share in vars(self).items() if share is not None}


@dataclass
class AuditOptions:
    data: DataConfig = field(default_factory=lambda: DataConfig(kind=Source.pairs))
    output: str | None = None  # folder; null: <stem of the file>.audit beside it


@dataclass
class SampleOptions:
    data: DataConfig = field(default_factory=lambda: DataConfig(kind=Source.pairs))
    output: str | None = None  # the csv to write; with graded the folder, null: <stem of the first>.graded beside it
    n: int = 20  # pairs for each rule and label of a task
    seed: int = 0  # of which pairs
    graded: Any = None  # file or files, one for each grader


def audit(words: list[str]) -> None:
    """Print what a table of pairs holds and where it leaks, and write audit.md and audit.json."""
    options = parse(AuditOptions, words)
    data = validate_data(options.data)
    from relevance.audit.counts import audit_facts, open_source
    from relevance.audit.page import audit_sections
    from relevance.pages.render import markdown

    facts = audit_facts(open_source(data))
    folder = Path(options.output) if options.output else sibling(Path(data.path or "generated"), "audit")
    text = markdown(f"Audit of {facts['file']}", audit_sections(facts))
    print(text.partition(PRINTED_UNTIL)[0])
    _write(folder, "audit", text, facts)


def sample(words: list[str]) -> None:
    """Write a blind csv for people to grade, or read such files and print how far rules and people agree."""
    options = parse(SampleOptions, words)
    validate_data(options.data)
    if options.graded is not None:
        _read_grades(options)
        return
    if options.output is None or options.n < 1 or options.seed < 0:
        settings = f"output={options.output} n={options.n} seed={options.seed}"
        needed = "give output=FILE.csv, n of 1 or more and seed of 0 or more"
        raise UserError(f"{settings}: {needed}; or graded=FILE.csv to read grades back")
    from relevance.audit.counts import open_source
    from relevance.audit.grading import grading_sheet, write_sheet

    table = grading_sheet(open_source(options.data), options.n, options.seed)
    write_sheet(table, Path(options.output))
    same = [word for word in words if word.startswith("data.")]
    print(
        f"{options.output}: {len(table):,} pairs, at most {options.n} of each task, rule and label\n"
        f"fill the column grade with 0 (irrelevant), 1 (partially relevant) or 2 (relevant), then\n"
        f"  python -m relevance.data sample {shlex.join(same)} graded={shlex.quote(options.output)}"
    )


def _read_grades(options: SampleOptions) -> None:
    files = [Path(name) for name in listed("graded", options.graded)]
    from relevance.audit.counts import open_source
    from relevance.audit.grading import graded, graded_sections
    from relevance.pages.render import markdown

    facts = graded(open_source(options.data), files)
    folder = Path(options.output) if options.output else sibling(files[0], "graded")
    text = markdown(f"Grades of {facts['file']}", graded_sections(facts))
    print(text)
    _write(folder, "graded", text, facts)


def _write(folder: Path, name: str, text: str, facts: dict) -> None:
    check_text(folder / f"{name}.md", text.partition(" of ")[0])
    check_text(folder / f"{name}.json", '{\n "file":')
    write_text(folder / f"{name}.md", text)
    write_text(folder / f"{name}.json", json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    print(f"\nwritten: {folder / name}.md and {name}.json")
