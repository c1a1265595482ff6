"""Write the report of a sweep and print its table.

python -m relevance.report [sweep=NAME] [tracking_uri=URI] [experiment=NAME] [outputs=FOLDER] [reports=FOLDER]
python -m relevance.report sweep=[factorial,ensemble,baselines] name=study
python -m relevance.report compare=[A,B]

Reads finished runs, predictions and rows.parquet; trains nothing and scores nothing. A report is also kept with its
sweeps' runs in MLflow, a comparison is not.

sweep         null: the newest; a list is read as one
name          of the report; null: that of the sweep
compare       two sweeps side by side, A minus B, instead of one report
ties          of votes: higher | lower | median | best_validation | mean_probability | abstain
figures       whether they are drawn; false is quicker, for the tables alone
texts         whether the texts of pairs stand among the mistakes; false: row ids alone
ui            where MLflow's pages are, for the links to runs
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relevance.commands import describe, listed, main, parse
from relevance.errors import UserError
from relevance.vote import DEFAULT, Ties

END = "\n### Notes"  # of what is printed of matrix.md: the answer and the table


@dataclass
class Options:
    """Which sweep, how to tell it, where to look and where to write."""

    sweep: Any = None
    name: str | None = None
    compare: Any = None
    ties: Ties = DEFAULT
    figures: bool = True
    texts: bool = True
    ui: str = "http://127.0.0.1:5000"
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
    folder = _compared(options) if options.compare is not None else _reported(options)
    print(f"report: {folder}")
    for path in sorted(folder.iterdir()):
        print(f"  {path.name}")


def _reported(options: Options) -> Path:
    from relevance.history import keep, sweep_record
    from relevance.report.outline import Form
    from relevance.report.render import write_report

    place = options.tracking_uri, options.experiment, Path(options.outputs)
    sweep = sweep_record(*place, listed("sweep", options.sweep), options.name)
    folder = write_report(sweep, Path(options.reports), Form(options.ties, options.figures, options.texts, options.ui))
    keep(*place, sweep, folder)
    print((folder / "matrix.md").read_text(encoding="utf-8").partition(END)[0])
    return folder


def _compared(options: Options) -> Path:
    names = listed("compare", options.compare)
    if len(names) != 2 or options.sweep is not None or options.name is not None:
        raise UserError(f"compare={options.compare}: give two sweeps, compare=[A,B], and neither sweep nor name")
    from relevance.history import sweep_record
    from relevance.report.compare import write_comparison

    place = options.tracking_uri, options.experiment, Path(options.outputs)
    one, other = (sweep_record(*place, [name]) for name in names)
    folder = write_comparison(one, other, Path(options.reports))
    print((folder / "compare.md").read_text(encoding="utf-8"))
    return folder


if __name__ == "__main__":
    main(report)
