"""Score a file of pairs with trained cells and write it with their predictions.

python -m relevance.predict cells=CELL input=FILE output=FILE [columns={left: query}] [on_bad_row=quarantine]
python -m relevance.predict cells=[a,b,c] input=FILE output=FILE

input and output are .parquet, .csv, .tsv or .jsonl; input also .txt, or packed as .csv.gz, .bz2, .zst. A row needs
task, left and right; label (0, 1, 2, or empty) is optional and is scored against; other columns are carried along. The
output has the rows of the input in their order and the columns p_irrelevant, p_partial, p_relevant, score (the expected
label, p_partial + 2 p_relevant: 0 to 2, sorts) and predicted. Several cells vote: the p_* are the means of their
probabilities, and predicted is the label of the highest.

cells       each by its name, a beginning that no other has, its run id or four characters of it, its folder; or best,
            the highest macro accuracy on validation, best:ce of a family or model
sweep       the sweep of these names; null: all cells that there are, best is of the newest sweep
vote        mean; or majority, as in the paper: predicted is the label that most cells give, and each label's share of
            their votes stands beside it (votes_irrelevant, votes_partial, votes_relevant) instead of the p_*; score
            follows from the means all the same
ties        under vote=majority, of labels with as many votes: higher (null), lower, median or mean_probability
columns     our name: the file's name, as data.columns in training
task        of all rows, where the file has no column task
grades      the label of each text in column label, {Exact: 2, Partial: 1, Irrelevant: 0}
header, delimiter, quotes, encoding, unpacked, ratio  as data.* in training
on_bad_row  error: name every bad row and write nothing; quarantine: list them in <output>.quarantine.csv instead
chunk       rows held in memory at a time; a cell scores in the precision it was trained in (trainer.precision), and its
            own test rows get the very numbers of its test.parquet where one chunk holds them all, on the same machine
            with as many threads; in bf16 other chunks move a probability by about 0.01
backbone    where the frozen backbone of an llm cell lies now, if it moved; a list for several cells
device      cpu, cuda; null: CUDA where there is one
trust_remote_code  run code that came with a cell's backbone, where it was trained with model.trust_remote_code=true
"""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from relevance.checks import validate_data
from relevance.cli import command_line, listed, run_command
from relevance.config import DataConfig, OnBadRow, Source, TextFile
from relevance.config_io import name_moved
from relevance.errors import UserError
from relevance.vote import DEFAULT, Ballots, Ties, Vote


@dataclass
class Options(TextFile):
    cells: Any = None
    sweep: Any = None
    vote: Vote = Vote.mean
    ties: Ties | None = None
    input: str = ""
    output: str = ""
    columns: dict[str, str] = field(default_factory=dict)  # ours: theirs
    task: str | None = None
    grades: dict[Any, int] = field(default_factory=dict)
    on_bad_row: OnBadRow = OnBadRow.error
    chunk: int = 20_000
    backbone: Any = None
    device: str | None = None
    trust_remote_code: bool = False
    tracking_uri: str = "sqlite:///mlflow.db"
    experiment: str = "relevance"
    outputs: str = "outputs"


@command_line(__doc__, Options, required=("cells", "input", "output"))
def predict(options: Options) -> None:
    if options.chunk < 1:
        raise UserError(f"chunk={options.chunk}: rows held at a time, 1 or more")
    _checked(options)
    folders = model_folders(options)
    _check_vote(options, len(folders))
    from relevance.data.text_files import Form
    from relevance.predict.scoring import Files, Said, score_file, scores_text

    quarantine = options.on_bad_row is OnBadRow.quarantine
    said = Said(Form.of(options, ""), options.task, options.grades)
    ballots = Ballots(options.vote, options.ties or DEFAULT)
    files = Files(Path(options.input), Path(options.output), options.columns, quarantine, options.chunk, said, ballots)
    if text := scores_text(score_file(files, folders, options.device, options.trust_remote_code)):
        print(text)


def _check_vote(options: Options, cells: int) -> None:
    """UserError for a vote that these cells cannot hold, and a policy without effect."""
    majority, ties = options.vote is Vote.majority, options.ties
    if majority and cells < 2:
        raise UserError("vote=majority: one cell does not vote; name several cells, or leave vote out")
    if ties and not majority:
        raise UserError(f"ties={ties}: has no effect under vote=mean; give vote=majority with it")
    if ties in (Ties.abstain, Ties.best_validation):
        policies = ", ".join(policy for policy in Ties if policy not in (Ties.abstain, Ties.best_validation))
        raise UserError(f"ties={ties}: every row gets a label, and no validation rows are read; use one of {policies}")


def _checked(options: Options) -> None:
    """One UserError for the settings of the input that cannot be: they are those of data.*."""
    names = ("task", "grades", *(field.name for field in fields(TextFile)))
    said = DataConfig(kind=Source.pairs, path=options.input, **{name: getattr(options, name) for name in names})
    try:
        validate_data(said)
    except UserError as error:
        raise UserError(str(error).replace("data.", "")) from error


def model_folders(options: Options) -> list[Path]:
    """The model folder of each cell, its backbone found where the options say; UserError for one named twice."""
    from relevance.tracking.names import model_folder  # only now: --help needs no pyarrow

    name_moved(listed("backbone", options.backbone))
    place = options.tracking_uri, options.experiment, Path(options.outputs)
    sweeps, folders = listed("sweep", options.sweep), dict[Path, str]()
    for cell in map(str, options.cells if isinstance(options.cells, list) else [options.cells]):
        folder = model_folder(cell, *place, sweeps)
        if folder.resolve() in folders:
            raise UserError(f"cells: {cell} is the same cell as {folders[folder.resolve()]}; name each once")
        folders[folder.resolve()] = cell
    return list(folders)


if __name__ == "__main__":
    run_command(predict)
