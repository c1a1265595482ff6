"""A trained cell as a person names it → its model folder. Imports no torch, and MLflow only for a run id.

outputs/cells/1b5c917cff1df14c, outputs/cells/1b5c917cff1df14c/model, 0f9c2e… (run id) → outputs/cells/1b5c…/model
"""

from pathlib import Path

from relevance.errors import UserError

MARK = "template.json"  # stands in a model folder and nowhere else


def model_folder(cell: str, uri: str, experiment: str, outputs: Path) -> Path:
    """The folder that holds the cell's model; raises UserError where there is none.

    A name that is no folder is the id of a run in `experiment` of the MLflow store at `uri`, trained under `outputs`.
    """
    folder = Path(cell).expanduser()
    if not folder.is_dir():
        if "/" in cell:
            raise UserError(f"{cell}: no such folder; give a cell's folder ({outputs}/cells/…) or its run id")
        from relevance.history import folder_of

        folder = folder_of(uri, experiment, outputs, cell)
    for place in (folder, folder / "model"):
        if (place / MARK).is_file():
            return place
    raise UserError(
        f"{cell}: no model in {folder}; a cell keeps one with save=all (the default): train it again with "
        "save=all rerun=true"
    )
