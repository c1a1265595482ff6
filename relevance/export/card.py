"""The model card of an exported folder: how it is used, what it measured on the test rows, what it was made of.

outputs/cells/9f2c…/{record.jsonl, test.parquet} beside the model → README.md with three lines of Python and a table
"""

from functools import cache
from pathlib import Path

import pandas as pd

from relevance.config import Config
from relevance.errors import UserError
from relevance.export.parity import PAIRS
from relevance.model.backbone import card_licence
from relevance.report.frame import cells_frame
from relevance.tracking.history import recorded_cell
from relevance.tracking.records import SweepRecord

NAME = "README.md"
CARD = """\
---
library_name: {library}
pipeline_tag: text-classification
---
# {cell}: {task}

Relevance of a pair of task `{task}`: irrelevant (0), partial (1) or relevant (2). In the folder of this file, or with
its path instead of ".":

```python
import torch, {library}{transformers}
model, tokenizer = {library}.{load}.eval(), transformers.AutoTokenizer.from_pretrained(".")
p = model(**tokenizer({left!r}, {right!r}, truncation=True, return_tensors="pt")).logits.softmax(-1)
```

`p` holds the probabilities of the three labels. What sorts is the score, the expected label from 0 to 2:
`p[:, 1] + 2 * p[:, 2]`.

## On the test rows

{measures}

## Made of

- pairs: sha256 {data}
- backbone: {backbone}; licence: {licence}
"""
TABLE = """\
| measure, % | | 95 % interval |
|---|---:|---|
{rows}

Intervals are over the entities of the test rows; what another training seed would give is not in them."""


def card(model: Path, config: Config, task: str, form: str, load: str) -> str:
    """The card of one task of the cell whose model folder is `model`; `load` is the line that loads its folder."""
    library = "peft" if form == "adapter" else "transformers"
    cell, data, measures = _told(model.parent, task)
    name = config.model.backbone
    backbone = Path(name).name if Path(name).exists() else name  # of a folder nobody else has its place
    revision = f" at {config.model.revision}" if config.model.revision else ""
    return CARD.format(
        library=library,
        transformers="" if library == "transformers" else ", transformers",
        cell=cell,
        task=task,
        load=load.replace("(folder,", '(".",'),
        left=PAIRS[0][0],
        right=PAIRS[0][1],
        measures=measures,
        data=data,
        backbone=f"{backbone}{revision}",
        licence=card_licence(config) or "unknown",
    )


def _told(folder: Path, task: str) -> tuple[str, str, str]:
    """The cell's name, the digest of its pairs and its measures, as far as the folder of its model tells."""
    try:
        cell = recorded_cell(folder)
        frame = _frame(folder)
    except UserError as error:
        return folder.name, "not known here", f"Not known here: {error}."
    if frame["status"][0] != "FINISHED":
        return cell.cell, cell.data_digest, f"Not known here: {frame['reason'][0]}."
    return cell.cell, cell.data_digest, _table(frame, task)


@cache
def _frame(folder: Path) -> pd.DataFrame:
    """One for all tasks of a command."""
    cell = recorded_cell(folder)
    return cells_frame(SweepRecord(cell.cell, folder.absolute().parent.parent, (cell,), ()))


def _table(frame: pd.DataFrame, task: str) -> str:
    values = frame.iloc[0]
    shown = {
        f"accuracy on {task}": f"{task}_accuracy",
        "accuracy, mean over tasks": "macro_accuracy",
        "NDCG@10, mean over tasks": "ndcg_10",
    }
    rows = [
        f"| {text} | {100 * values[name]:.1f} | {_interval(values[f'{name}_low'], values[f'{name}_high'])} |"
        for text, name in shown.items()
        if not pd.isna(values.get(name))
    ]
    return TABLE.format(rows="\n".join(rows))


def _interval(low: float, high: float) -> str:
    return "none: too few entities" if pd.isna(low) else f"{100 * low:.1f} to {100 * high:.1f}"
