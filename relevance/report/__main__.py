"""Write the report of a sweep and print its table.

python -m relevance.report [sweep=NAME] [tracking_uri=URI] [experiment=NAME] [outputs=FOLDER] [reports=FOLDER]

Reads finished runs, predictions and rows.parquet; trains nothing.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from relevance.commands import describe, main, parse


@dataclass
class Options:
    """Where to look and where to write; sweep=null is the newest."""

    sweep: str | None = None
    tracking_uri: str = "sqlite:///mlflow.db"
    experiment: str = "relevance"
    outputs: str = "outputs"
    reports: str = "multirun_reports"


def report() -> None:
    words = sys.argv[1:]
    if {"-h", "--help"} & set(words):
        print(describe(__doc__.strip(), Options))
        return
    options = parse(Options, words)
    from relevance.history import sweep_record
    from relevance.report.render import write_report

    sweep = sweep_record(options.tracking_uri, options.experiment, Path(options.outputs), options.sweep)
    folder = write_report(sweep, Path(options.reports))
    print((folder / "matrix.md").read_text(encoding="utf-8"))
    print(f"report: {folder}")
    for path in sorted(folder.iterdir()):
        print(f"  {path.name}")


if __name__ == "__main__":
    main(report)
