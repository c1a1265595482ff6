"""A table of pairs → every number of its audit, as plain data with stable keys: what audit.json holds.

{"rows": {"sound": 19457, "set_aside": 0, ...}, "labels": {"query_item": {"train": [966, 983, 1095], ...}}, ...}

The commands audit and sample of relevance.data: words of a command line → files and a summary.

["data.path=pairs.parquet"] → pairs.audit/audit.md, pairs.audit/audit.json
"""

import json
import shlex
from pathlib import Path

from relevance.atomic_io import sibling, write_text
from relevance.audit.counts import (
    PERCENTILES,
    ROWS,
    SEED,
    baseline,
    copies,
    elsewhere,
    judged,
    label_table,
    ordered_by,
    shared_texts,
    source_counts,
    text_lengths,
)
from relevance.audit.leaks import leaks
from relevance.audit.opened import Opened, match_pairs
from relevance.audit.options import AuditOptions, SampleOptions
from relevance.checks import validate_data
from relevance.cli import listed, parse
from relevance.data.faults import LISTED, faulty_rows
from relevance.errors import UserError


def audit_facts(found: Opened) -> dict:
    """The audit of a table; the same rows give the same numbers."""
    match = match_pairs(found.keys)
    return {
        "file": found.name,
        "rows": _rows(found),
        "split": {"given": not found.divided, "divided": found.divided or None},
        "labels": label_table(found),
        "sources": source_counts(found),
        "copies": copies(found, match),
        "shared_texts": shared_texts(found, match),
        "leaks": leaks(found.keys, found.where("train"), found.where("test"), match).shares(),
        "elsewhere": elsewhere(found, match),
        "lengths": {"percentiles": list(PERCENTILES), "tasks": text_lengths(found)},
        "baseline": {"most": ROWS, "seed": SEED, "tasks": baseline(found)},
        "agreement": {"order": ordered_by(found), "tasks": judged(found)},
    }


def _rows(found: Opened) -> dict:
    reasons = [
        {"problem": one.problem, "remedy": one.remedy, "rows": len(one.rows), "first": one.rows[:LISTED].tolist()}
        for one in found.faults
    ]
    aside = len(faulty_rows(found.faults))
    sound = len(found.rows)
    return {
        "read": sound + aside,
        "sound": sound,
        "set_aside": aside,
        "reasons": reasons,
        "counted": found.counted,
    }


END = "\n## Rows by split"  # of what is printed of audit.md: findings and overview


def audit(words: list[str]) -> None:
    """Print what a table of pairs holds and where it leaks, and write audit.md and audit.json."""
    options = parse(AuditOptions, words)
    data = validate_data(options.data)
    from relevance.audit.opened import open_source
    from relevance.audit.page import audit_sections
    from relevance.pages.text import markdown

    found = audit_facts(open_source(data))
    folder = Path(options.output) if options.output else sibling(Path(data.path or "generated"), "audit")
    text = markdown(f"Audit of {found['file']}", audit_sections(found))
    print(text.partition(END)[0])
    _write(folder, "audit", text, found)


def _write(folder: Path, name: str, text: str, found: dict) -> None:
    write_text(folder / f"{name}.md", text)
    write_text(folder / f"{name}.json", json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    print(f"\nwritten: {folder / name}.md and {name}.json")


def sample(words: list[str]) -> None:
    """Write a blind csv for people to grade, or read such files back and tell how far rules and people agree."""
    options = parse(SampleOptions, words)
    validate_data(options.data)
    if options.graded is not None:
        _read_back(options)
        return
    if options.output is None or options.n < 1 or options.seed < 0:
        raise UserError(
            f"output={options.output} n={options.n} seed={options.seed}: give output=FILE.csv, n of 1 or more and "
            "seed of 0 or more; or graded=FILE.csv to read grades back"
        )
    from relevance.audit.opened import open_source
    from relevance.audit.sheet import grading_sheet, write_sheet

    found = open_source(options.data)
    table = grading_sheet(found, options.n, options.seed)
    write_sheet(table, Path(options.output))
    same = [word for word in words if word.startswith("data.")]
    print(
        f"{options.output}: {len(table):,} pairs, at most {options.n} of each task, rule and label\n"
        f"fill the column grade with 0 (irrelevant), 1 (partially relevant) or 2 (relevant), then\n"
        f"  python -m relevance.data sample {shlex.join(same)} graded={shlex.quote(options.output)}"
    )


def _read_back(options: SampleOptions) -> None:
    files = [Path(name) for name in listed("graded", options.graded)]
    from relevance.audit.graded import graded, graded_sections
    from relevance.audit.opened import open_source
    from relevance.pages.text import markdown

    found = graded(open_source(options.data), files)
    folder = Path(options.output) if options.output else sibling(files[0], "graded")
    text = markdown(f"Grades of {found['file']}", graded_sections(found))
    print(text)
    _write(folder, "graded", text, found)
