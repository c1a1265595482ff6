"""Write a trained cell as plain Hugging Face folders, one per task, each with its input template beside it.

python -m relevance.export cell=CELL output=FOLDER [task=query_item] [form=adapter]

The tokenizer of a folder makes the cell's own input of a pair of that task, in any tool (docs/serving.md). A process
without our code reads each folder back: its ids are the cell's, its logits differ by 1e-4 at most.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relevance.cli import command_line, echo, listed, run_command
from relevance.config import MOVED_BACKBONE, NAMED_CELL, OWN_CODE, setting
from relevance.config_io import name_moved
from relevance.errors import UserError
from relevance.outputs import check_folder
from relevance.tasks import TASK_NAMES

FORMS = ("merged", "adapter")


@dataclass
class Options:
    cell: str = setting("", NAMED_CELL.partition("; several")[0])
    sweep: Any = setting(None, "of these names", null="all cells that there are, best is of the newest sweep")
    output: str = setting("", "folder to write")
    task: str = setting("all", "one task, or all that the cell was trained on, each in a folder of its own")
    backbone: Any = setting(None, MOVED_BACKBONE)
    trust_remote_code: bool = setting(False, OWN_CODE)
    form: str = setting(
        "merged",
        "merged: AutoModelForSequenceClassification, LoRA merged, private layers as ordinary blocks; "
        "adapter: as peft keeps it, beside the frozen backbone",
    )
    tracking_uri: str = setting("sqlite:///mlflow.db", "MLflow's store")
    experiment: str = setting("relevance", "MLflow's experiment")
    outputs: str = setting("outputs", "folder of cells")


@command_line(__doc__, Options, required=("cell", "output"))
def export(options: Options) -> None:
    _check(options)
    from relevance.tracking.names import model_folder

    place = options.tracking_uri, options.experiment, Path(options.outputs)
    model = model_folder(options.cell, *place, listed("sweep", options.sweep))
    from relevance.export.folder import export as write
    from relevance.model.module import quiet

    quiet()
    name_moved(listed("backbone", options.backbone))
    for task, folder in task_folders(model, options.task, check_folder(Path(options.output))).items():
        difference = write(model, task, options.form, folder, options.trust_remote_code)
        echo(f"{folder}: {options.form}, logits differ by at most {difference:.1e} from the cell's in float32")


def _check(options: Options) -> None:
    """UserError for a form or task that is not known, and for an output that is there already."""
    if options.form not in FORMS:
        raise UserError(f"form={options.form}: use {' or '.join(FORMS)}")
    if options.task not in (*TASK_NAMES, "all"):
        raise UserError(f"task={options.task}: use all or one of {', '.join(TASK_NAMES)}")
    output = Path(options.output)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError(f"output={options.output}: is there already; give a new folder")
    check_folder(output)


def task_folders(model: Path, task: str, output: Path) -> dict[str, Path]:
    """Where each task goes: `task`, or of "all" those that the cell was trained on, each in a folder of its own."""
    from relevance.data.tokens import Reading

    if task != "all":
        return {task: output}
    reading = Reading.of(model)
    if others := reading.unknown(TASK_NAMES):
        echo(f"{model}: was trained on {', '.join(reading.tasks)}; not exported: {', '.join(others)}")
    return {task: output / task for task in reading.tasks}


if __name__ == "__main__":
    run_command(export)
