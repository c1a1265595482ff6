"""Write the report of a sweep and print its table.

python -m relevance.report [sweep=NAME] [tracking_uri=URI] [experiment=NAME] [outputs=FOLDER] [reports=FOLDER]
python -m relevance.report sweep=[factorial,ensemble,baselines] name=study
python -m relevance.report compare=[A,B]
python -m relevance.report archive=multirun_reports/study/runs.zip reports=elsewhere

Reads finished runs, predictions and rows.parquet; trains nothing and scores nothing. A report is also kept with its
sweeps' runs in MLflow, a comparison is not. With runs=true it carries what it is made of, from which archive= makes
it again on any machine, without a store or outputs: the same bytes, but for the texts of pairs, which are not in it.

sweep         null: the newest; a list is read as one
name          of the report; null: that of the sweep
archive       the runs.zip of a report, to be read instead of a store and outputs; texts=false
compare       two sweeps side by side, A minus B, instead of one report; a name that ends in .zip is an archive
ties          of votes: higher | lower | median | best_validation | mean_probability | abstain
figures       whether they are drawn; false is quicker, for the tables alone
texts         whether the texts of pairs stand among the mistakes and the rows set aside; false: row ids alone
runs          whether to write runs.zip beside the report: config, record and predictions of every cell, no texts
ui            where MLflow's pages are, for links to runs; null: run ids are text
metric        what the page ranks by: accuracy | ndcg_10 | mrr | average_precision | average_precision_relevant
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from relevance.cli import command_line, listed, run_command
from relevance.errors import UserError
from relevance.tracking.records import SweepRecord
from relevance.vote import DEFAULT, Ties

ZIP = ".zip"
END = "\n## The paper's claims"  # of what is printed of matrix.md: the answer and the table


class RankBy(StrEnum):
    """What the page ranks by: the macro over tasks of one of these."""

    accuracy = "accuracy"
    ndcg_10 = "ndcg_10"
    mrr = "mrr"
    average_precision = "average_precision"
    average_precision_relevant = "average_precision_relevant"


@dataclass
class Options:
    """Which sweep, how to show it, where to look and where to write."""

    sweep: Any = None
    name: str | None = None
    archive: str | None = None
    compare: Any = None
    ties: Ties = DEFAULT
    figures: bool = True
    texts: bool = True
    runs: bool = False
    ui: str | None = None
    metric: RankBy = RankBy.accuracy
    tracking_uri: str = "sqlite:///mlflow.db"
    experiment: str = "relevance"
    outputs: str = "outputs"
    reports: str = "multirun_reports"


@command_line(__doc__, Options)
def report(options: Options) -> None:
    if options.compare is not None:
        folder = _compared(options)
    else:
        folder = write(options)
        print((folder / "matrix.md").read_text(encoding="utf-8").partition(END)[0])
    print(f"report: {folder}")
    for path in sorted(folder.iterdir()):
        print(f"  {path.name}")


def write(options: Options) -> Path:
    """Write the report of a sweep or an archive, keep it with its runs; returns its folder."""
    if options.archive is not None and options.sweep is not None:
        raise UserError(f"archive={options.archive}: holds one report; give it without sweep={options.sweep}")
    from relevance.report.files import write_report
    from relevance.report.page import Form

    texts = options.texts and options.archive is None
    form = Form(options.ties, options.figures, texts, options.ui, options.runs, options.metric)
    with _sweep(options, listed("sweep", options.sweep), options.archive) as sweep:
        folder = write_report(sweep, Path(options.reports), form)
    if options.archive is None:
        from relevance.tracking.history import keep

        keep(*_place(options), sweep, folder)
    return folder


def _compared(options: Options) -> Path:
    names = listed("compare", options.compare)
    if len(names) != 2 or any(word is not None for word in (options.sweep, options.name, options.archive)):
        raise UserError(f"compare={options.compare}: give two sweeps, compare=[A,B], and no sweep, name or archive")
    from relevance.report.compare import write_comparison

    with ExitStack() as stack:
        sweeps = [_sweep(options, [name], name if name.endswith(ZIP) else None) for name in names]
        first, other = map(stack.enter_context, sweeps)
        folder = write_comparison(first, other, Path(options.reports))
    print((folder / "compare.md").read_text(encoding="utf-8"))
    return folder


@contextmanager
def _sweep(options: Options, names: list[str], archive: str | None) -> Iterator[SweepRecord]:
    """The sweep of an archive or, without one, of these names in the store."""
    if archive is not None:
        from relevance.report.archive import opened

        with opened(Path(archive), options.name) as sweep:
            yield sweep
    else:
        from relevance.tracking.history import sweep_record

        yield sweep_record(*_place(options), names, options.name)


def _place(options: Options) -> tuple[str, str, Path]:
    return options.tracking_uri, options.experiment, Path(options.outputs)


if __name__ == "__main__":
    run_command(report)
