"""The commands audit and sample of relevance.data: words of a command line → files and a summary.

["data.path=pairs.parquet"] → pairs.audit/audit.md, pairs.audit/audit.json
"""

import json
from pathlib import Path

from relevance import whole
from relevance.audit.options import AuditOptions
from relevance.checks import validate_data
from relevance.commands import parse

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
    folder = Path(options.output) if options.output else _beside(data.path or "generated", "audit")
    text = markdown(f"Audit of {found['file']}", sections(found))
    print(text.partition(END)[0])
    _write(folder, "audit", text, found)


def _beside(path: str, kind: str) -> Path:
    return Path(path).with_name(f"{Path(path).stem}.{kind}")


def _write(folder: Path, name: str, text: str, found: dict) -> None:
    whole.text(folder / f"{name}.md", text)
    whole.text(folder / f"{name}.json", json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    print(f"\nwritten: {folder / name}.md and {name}.json")
