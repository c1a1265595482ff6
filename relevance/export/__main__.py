"""Write a trained cell as plain Hugging Face folders, one per task, each with its input template beside it.

python -m relevance.export cell=RUN_ID|FOLDER output=FOLDER [task=query_item] [form=adapter]

task    one task, or all (output then holds a folder per task)
form    merged: AutoModelForSequenceClassification, LoRA merged, private layers as ordinary blocks;
        adapter: as peft keeps it, beside the frozen backbone

Each folder is read back and its logits compared with the cell's; they may differ by 1e-4 at most.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from relevance.commands import describe, main, parse, say
from relevance.errors import UserError
from relevance.tasks import TASK_NAMES

FORMS = ("merged", "adapter")


@dataclass
class Options:
    """What to write and where; then where run ids are looked up."""

    cell: str | None = None
    output: str | None = None
    task: str = "all"
    form: str = "merged"
    tracking_uri: str = "sqlite:///mlflow.db"
    experiment: str = "relevance"
    outputs: str = "outputs"


def export() -> None:
    words = sys.argv[1:]
    if {"-h", "--help"} & set(words):
        print(describe(__doc__.strip(), Options))
        return
    options = _checked(parse(Options, words))
    from relevance.trained import model_folder

    model = model_folder(options.cell, options.tracking_uri, options.experiment, Path(options.outputs))
    from relevance.export.folder import export as write
    from relevance.training import quiet

    quiet()
    for task in TASK_NAMES if options.task == "all" else (options.task,):
        folder = Path(options.output) / task if options.task == "all" else Path(options.output)
        done = write(model, task, options.form, folder)
        say(f"{done.folder}: {options.form}, logits differ from the cell's by at most {done.difference:.1e}")


def _checked(options: Options) -> Options:
    absent = [key for key in ("cell", "output") if not getattr(options, key)]
    if absent:
        raise UserError(f"{' and '.join(absent)} missing; give {' '.join(f'{key}=…' for key in absent)} (--help)")
    if options.form not in FORMS:
        raise UserError(f"form={options.form}: use {' or '.join(FORMS)}")
    if options.task not in (*TASK_NAMES, "all"):
        raise UserError(f"task={options.task}: use all or one of {', '.join(TASK_NAMES)}")
    output = Path(options.output)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError(f"output={options.output}: is there already; give a new folder")
    return options


if __name__ == "__main__":
    main(export)
