"""The commands audit and sample of relevance.data: words of a command line → files and a summary.

["data.path=pairs.parquet"] → pairs.audit/audit.md, pairs.audit/audit.json
"""

import json
import shlex
from pathlib import Path

from relevance import whole
from relevance.audit.options import AuditOptions, SampleOptions
from relevance.checks import validate_data
from relevance.commands import listed, parse
from relevance.errors import UserError

END = "\n## Rows by split"  # of what is printed of audit.md: findings and overview


def audit(words: list[str]) -> None:
    """Print what a table of pairs holds and where it leaks, and write audit.md and audit.json."""
    options = parse(AuditOptions, words)
    data = validate_data(options.data)
    from relevance.audit.facts import facts
    from relevance.audit.opened import opened
    from relevance.audit.page import sections
    from relevance.report.form.markdown import markdown

    found = facts(opened(data))
    folder = Path(options.output) if options.output else whole.sibling(Path(data.path or "generated"), "audit")
    text = markdown(f"Audit of {found['file']}", sections(found))
    print(text.partition(END)[0])
    _write(folder, "audit", text, found)


def _write(folder: Path, name: str, text: str, found: dict) -> None:
    whole.text(folder / f"{name}.md", text)
    whole.text(folder / f"{name}.json", json.dumps(found, indent=1, ensure_ascii=False) + "\n")
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
    from relevance.audit import sheet
    from relevance.audit.opened import opened

    found = opened(options.data)
    table = sheet.sheet(found, options.n, options.seed)
    sheet.write(table, Path(options.output))
    same = [word for word in words if word.startswith("data.")]
    print(
        f"{options.output}: {len(table):,} pairs, at most {options.n} of each task, rule and label\n"
        f"fill the column grade with 0 (irrelevant), 1 (partially relevant) or 2 (relevant), then\n"
        f"  python -m relevance.data sample {shlex.join(same)} graded={shlex.quote(options.output)}"
    )


def _read_back(options: SampleOptions) -> None:
    files = [Path(name) for name in listed("graded", options.graded)]
    from relevance.audit.graded import graded
    from relevance.audit.graded_page import sections
    from relevance.audit.opened import opened
    from relevance.report.form.markdown import markdown

    found = graded(opened(options.data), files)
    folder = Path(options.output) if options.output else whole.sibling(files[0], "graded")
    text = markdown(f"Grades of {found['file']}", sections(found))
    print(text)
    _write(folder, "graded", text, found)
