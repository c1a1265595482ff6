"""Score a file of pairs with trained cells and write it with their predictions.

python -m relevance.predict cells=CELL input=FILE output=FILE [columns={left: query}] [on_bad_row=quarantine]
python -m relevance.predict cells=[a,b,c] input=FILE output=FILE
python -m relevance.predict cells=[small,large] cascade=auto input=FILE output=FILE

input and output are .parquet, .csv, .tsv or .jsonl; input also .txt, or packed as .csv.gz, .bz2, .zst. A row needs
task, left and right; label (0, 1, 2, or empty) is optional and is scored against; other columns are carried along. The
output has the rows of the input in their order and the columns p_irrelevant, p_partial, p_relevant, score (the expected
label, p_partial + 2 p_relevant: 0 to 2, sorts) and predicted. Several cells vote: the p_* are the means of their
probabilities, and predicted is the label of the highest. In a cascade the column answered_by names the cell.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relevance.checks import validate_data
from relevance.cli import command_line, listed, run_command
from relevance.config import MOVED_BACKBONE, NAMED_CELL, OWN_CODE, DataConfig, OnBadRow, Source, TextFile, setting
from relevance.config_io import name_moved
from relevance.errors import UserError, shorten
from relevance.vote import DEFAULT, Ballots, Ties, Vote

if TYPE_CHECKING:
    from relevance.predict.answers import Answers

AUTO = "auto"


@dataclass
class Options(TextFile):
    cells: Any = setting(None, NAMED_CELL)
    sweep: Any = setting(None, "of these names", null="all cells that there are, best is of the newest sweep")
    cascade: Any = setting(
        None,
        "the first of two cells answers where its confidence is this or more, above 0, at most 1, the second sees the "
        "rest. Confidence is the probability of the answer, each task under a temperature fitted on validation; auto: "
        "the lowest that loses at most cascade_loss on the validation rows, against the second cell alone",
    )
    cascade_loss: float | None = setting(None, "points of macro accuracy", null="0.3")
    vote: Vote | None = setting(
        None,
        "majority, as in the paper: predicted is the label that most cells give, and each label's share of their votes "
        "stands beside it (votes_irrelevant, …) instead of the p_*; score follows from the means all the same",
        null="mean",
    )
    ties: Ties | None = setting(
        None, "lower, median or mean_probability of labels with as many votes, under vote=majority", null="higher"
    )
    input: str = setting("", "file of pairs")
    output: str = setting("", "file to write")
    columns: dict[str, str] = setting(dict, "our name: the file's name, as data.columns in training")
    task: str | None = setting(None, "of all rows, where the file has no column task")
    grades: dict[Any, int] = setting(
        dict, "the label of each text in column label, {Exact: 2, Partial: 1, Irrelevant: 0}"
    )
    on_bad_row: OnBadRow = setting(
        OnBadRow.error, "name every bad row and write nothing, or list them in <output>.quarantine.csv instead"
    )
    chunk: int = setting(
        20_000,
        "rows held in memory at a time; a cell scores in the precision it was trained in (trainer.precision), and its "
        "own test rows get the very numbers of its test.parquet where one chunk holds them all, on the same machine "
        "with as many threads; in bf16 other chunks move a probability by about 0.01",
    )
    backbone: Any = setting(None, MOVED_BACKBONE)
    device: str | None = setting(None, "cpu, cuda", null="CUDA where there is one")
    trust_remote_code: bool = setting(False, OWN_CODE)
    tracking_uri: str = setting("sqlite:///mlflow.db", "MLflow's store")
    experiment: str = setting("relevance", "MLflow's experiment")
    outputs: str = setting("outputs", "folder of cells")


@command_line(__doc__, Options, required=("cells", "input", "output"))
def predict(options: Options) -> None:
    if options.chunk < 1:
        raise UserError(f"chunk={options.chunk}: rows held at a time, 1 or more")
    _checked(options)
    folders, answers = opened(options)
    from relevance.data.text_files import Form
    from relevance.predict.scoring import Files, InputForm, score_file, scores_text

    quarantine = options.on_bad_row is OnBadRow.quarantine
    form = InputForm(Form.of(options, ""), options.task, options.grades)
    files = Files(Path(options.input), Path(options.output), options.columns, quarantine, options.chunk, form, answers)
    if text := scores_text(score_file(files, folders, options.device, options.trust_remote_code)):
        print(text)


def opened(options: Options) -> tuple[list[Path], "Answers"]:
    """The model folders of the cells, and how these answer together; UserError for what they cannot."""
    if options.cascade is None and options.cascade_loss is not None:
        raise UserError(
            f"cascade_loss={options.cascade_loss:g}: has no effect without a cascade; give cascade=auto with it"
        )
    threshold = None if options.cascade is None else _threshold(options)
    folders = model_folders(options)
    if options.cascade is None:
        _check_vote(options, len(folders))
        from relevance.predict.answers import VotedAnswers

        return folders, VotedAnswers(Ballots(options.vote or Vote.mean, options.ties or DEFAULT), len(folders))
    if len(folders) != 2:
        raise UserError(f"cascade={options.cascade}: takes two cells, not {len(folders)}; give cells=[SMALL,LARGE]")
    from relevance.calibration import LOSS
    from relevance.predict.answers import cascaded

    return folders, cascaded(folders, threshold, LOSS if options.cascade_loss is None else options.cascade_loss)


def _threshold(options: Options) -> float | None:
    """The confidence of a cascade, None where it is to be chosen; UserError for settings that do not go together."""
    value, loss = options.cascade, options.cascade_loss
    for name, policy in (("vote", options.vote), ("ties", options.ties)):
        if policy:
            raise UserError(
                f"{name}={policy}: has no effect in a cascade, where one cell answers; leave it or cascade out"
            )
    if value == AUTO:
        if loss is not None and not 0 <= loss <= 100:
            raise UserError(f"cascade_loss={loss:g}: points of macro accuracy, 0 to 100")
        return None
    if loss is not None:
        raise UserError(f"cascade_loss={loss:g}: has no effect under cascade={value}; give cascade=auto with it")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise UserError(f"cascade={shorten(value)}: give a confidence above 0, at most 1, or auto")
    return float(value)


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
    data = DataConfig(kind=Source.pairs, path=options.input, **{name: getattr(options, name) for name in names})
    try:
        validate_data(data)
    except UserError as error:
        raise UserError(str(error).replace("data.", "")) from error


def model_folders(options: Options) -> list[Path]:
    """The model folder of each cell, its backbone found where the options say; UserError for one named twice."""
    from relevance.tracking.names import model_folder  # only now: --help needs no pyarrow

    name_moved(listed("backbone", options.backbone))
    place = options.tracking_uri, options.experiment, Path(options.outputs)
    sweeps, folders = listed("sweep", options.sweep), dict[Path, str]()
    for cell in listed("cells", options.cells):
        folder = model_folder(cell, *place, sweeps)
        if folder.resolve() in folders:
            raise UserError(f"cells: {cell} is the same cell as {folders[folder.resolve()]}; name each once")
        folders[folder.resolve()] = cell
    return list(folders)


if __name__ == "__main__":
    run_command(predict)
