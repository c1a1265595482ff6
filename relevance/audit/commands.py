"""The commands audit and sample of relevance.data: words of a command line → files and a summary.

["data.path=pairs.parquet"] → pairs.audit/audit.md, pairs.audit/audit.json
"""

import json
import shlex
from pathlib import Path

from relevance.atomic_io import sibling, write_text
from relevance.audit.options import AuditOptions, SampleOptions
from relevance.checks import validate_data
from relevance.cli import listed, parse
from relevance.errors import UserError

PRINTED_UNTIL = "\n## Rows by split"  # of audit.md: findings and overview


def audit(words: list[str]) -> None:
    """Print what a table of pairs holds and where it leaks, and write audit.md and audit.json."""
    options = parse(AuditOptions, words)
    data = validate_data(options.data)
    from relevance.audit.counts import audit_facts
    from relevance.audit.opened import open_source
    from relevance.audit.page import audit_sections
    from relevance.pages.render import markdown

    facts = audit_facts(open_source(data))
    folder = Path(options.output) if options.output else sibling(Path(data.path or "generated"), "audit")
    text = markdown(f"Audit of {facts['file']}", audit_sections(facts))
    print(text.partition(PRINTED_UNTIL)[0])
    _write(folder, "audit", text, facts)


def sample(words: list[str]) -> None:
    """Write a blind csv for people to grade, or read such files back and tell how far rules and people agree."""
    options = parse(SampleOptions, words)
    validate_data(options.data)
    if options.graded is not None:
        _read_grades(options)
        return
    if options.output is None or options.n < 1 or options.seed < 0:
        raise UserError(
            f"output={options.output} n={options.n} seed={options.seed}: give output=FILE.csv, n of 1 or more and "
            "seed of 0 or more; or graded=FILE.csv to read grades back"
        )
    from relevance.audit.opened import open_source
    from relevance.audit.sheet import grading_sheet, write_sheet

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
    from relevance.audit.graded import graded, graded_sections
    from relevance.audit.opened import open_source
    from relevance.pages.render import markdown

    facts = graded(open_source(options.data), files)
    folder = Path(options.output) if options.output else sibling(files[0], "graded")
    text = markdown(f"Grades of {facts['file']}", graded_sections(facts))
    print(text)
    _write(folder, "graded", text, facts)


def _write(folder: Path, name: str, text: str, facts: dict) -> None:
    write_text(folder / f"{name}.md", text)
    write_text(folder / f"{name}.json", json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    print(f"\nwritten: {folder / name}.md and {name}.json")
