"""The LightningDataModule of a cell: rows.parquet and token ids → steps to train on, batches to score.

What a trained cell keeps of it, so that others read pairs as it did: the form of their text, and the tasks it knows.

template.json {"prefix": false, "pair": true, "max_length": 128, "line": true, "tasks": ["query_item", ...]} → Reading
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import lightning as L
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from torch.utils.data import DataLoader

from relevance import distributed
from relevance.config import Config, Family, Match, Mix
from relevance.data.batches import Examples, MicroBatch, ScoreDataset, StepDataset, Steps, collate, members, portion
from relevance.data.tokens import Template, Tokens, load_tokens, segments
from relevance.errors import UserError
from relevance.metrics import places, task_codes
from relevance.rates import optimiser_steps
from relevance.tasks import SPLITS, TASK_NAMES


@dataclass(frozen=True)
class Reading:
    """How a trained cell reads pairs."""

    template: Template
    tasks: tuple[str, ...]  # trained on, in the order of TASK_NAMES

    @classmethod
    def of(cls, folder: Path) -> "Reading":
        """What `written` left in a model folder; a file that names no tasks is of a cell that knows all.

        One without `line` is of a cell that read the task's name without a line break behind it.
        """
        content = json.loads((folder / "template.json").read_text())
        tasks = tuple(content.pop("tasks", TASK_NAMES))
        return cls(Template(**{"line": False, **content}), tasks)

    def written(self) -> dict[str, object]:
        return {**asdict(self.template), "tasks": list(self.tasks)}

    def unknown(self, tasks: Iterable[str]) -> list[str]:
        """Those of `tasks` that it was not trained on, in the order of TASK_NAMES."""
        wanted = set(tasks)
        return [name for name in TASK_NAMES if name in wanted and name not in self.tasks]


class PairsModule(L.LightningDataModule):
    """Train, validation and test rows of the mix's tasks, each from the same memory-mapped token ids."""

    steps: int | None = None  # of training, where another cell's budget says how many
    begun = (0, 0)  # the epoch that training resumes in, the steps done of it

    def __init__(self, config: Config, tokenizer, template: Template, examples: Examples, rows: dict[str, np.ndarray]):
        super().__init__()
        self.config, self.tokenizer, self.template = config, tokenizer, template
        self.examples, self.rows = examples, rows

    @property
    def reading(self) -> Reading:
        """What a reader of the trained model has to know of its pairs."""
        known = np.unique(self.examples.task[self.rows["train"]])
        return Reading(self.template, tuple(TASK_NAMES[task] for task in known))

    def train_dataloader(self) -> DataLoader:
        step_rows, budget = self.config.train.step_rows, self.config.train.token_budget
        steps = Steps(self.rows["train"], self.examples.task, self.config.task_mix, step_rows, self.config.seed)
        steps.begun = self.begun
        return _loader(StepDataset(self.examples, budget, distributed.rank(), distributed.size()), steps)

    def val_dataloader(self) -> DataLoader:
        return self.scoring("validation")

    def sample(self, size: int) -> MicroBatch:
        """Training rows at even distances, `size` at most."""
        rows = self.rows["train"]
        return collate(self.examples, rows[:: -(-len(rows) // size)])

    def scoring(self, split: str) -> DataLoader:
        """Every row of the split once over all ranks, longest first."""
        return self.loader(self.examples, self.rows[split])

    def loader(self, examples: Examples, rows: np.ndarray) -> DataLoader:
        """The given rows of `examples` once over all ranks, longest first."""
        budget = self.config.train.score_token_budget
        return _loader(ScoreDataset(examples, rows, budget, distributed.rank(), distributed.size()), None)


def pairs_module(config: Config, rows: Path, tokenizer, identity: str) -> PairsModule:
    """The data of one cell; raises UserError where the mix leaves a split without rows."""
    model = config.model
    template = Template(
        config.routing.prefix, model.family is Family.ce, _checked(model.max_length, tokenizer.model_max_length)
    )
    ids = load_tokens(rows, tokenizer, identity, template, Path(config.outputs) / "tokens")
    table = _narrow(rows)
    task, split = task_codes(table["task"]), places(table["split"], SPLITS)
    train = np.flatnonzero(split == SPLITS.index("train"))
    train = train[portion(task[train], config.task_mix.share, config.data.seed)]
    known = members(task, config.task_mix)
    parts = {name: known[split[known] == index] for index, name in enumerate(SPLITS)}
    parts["train"] = known[np.isin(known, train, kind="table")]
    for name, part in parts.items():
        if not len(part):
            raise UserError(f"task_mix={config.task_mix.name}: no {name} rows in {rows}; choose another mix or split")
    examples = _examples(config, table, task, ids, tokenizer, template)
    if not examples.weight[parts["train"]].any():
        raise UserError(
            f"{rows}: every training row of task_mix={config.task_mix.name} weighs 0; give some of them a weight "
            "(its column, train.class_weights and train.task_weights multiply)"
        )
    module = PairsModule(config, tokenizer, template, examples, parts)
    module.steps = _matched(config, len(train))
    return module


def _checked(length: int, most: int) -> int:
    if length > most:
        raise UserError(f"model.max_length={length}: this backbone reads at most {most} tokens; lower it")
    return length


def _narrow(rows: Path) -> pa.Table:
    """What a step needs to know of every row beside its tokens; the texts stay on disk."""
    wanted = [name for name in ("task", "split", "label", "weight") if name in pq.read_schema(rows).names]
    return pq.read_table(rows, columns=wanted, read_dictionary=["task", "split"])


def _examples(config: Config, table: pa.Table, task: np.ndarray, ids: Tokens, tokenizer, template) -> Examples:
    label = table["label"].to_numpy()
    weight = table["weight"].to_numpy() if "weight" in table.column_names else np.ones(len(task))
    of_task = np.array([config.train.task_weights.get(name, 1.0) for name in TASK_NAMES])
    of_label = np.array(config.train.class_weights or [1.0, 1.0, 1.0])
    shown = segments(tokenizer, template)
    return Examples(ids, task, label, weight * of_task[task] * of_label[label], tokenizer.pad_token_id, shown)


def _matched(config: Config, joint: int) -> int | None:
    """Steps that a joint cell on the same `joint` training rows takes, where this one is to take as many."""
    if config.match is not Match.steps or config.task_mix.kind is not Mix.single:
        return None
    return optimiser_steps(config, joint)


def _loader(dataset, sampler) -> DataLoader:
    return DataLoader(dataset, batch_size=None, sampler=sampler, collate_fn=_unchanged)


def _unchanged(batch):
    return batch
