"""A real fit of a small cell, without files: pairs → a batch, the loss over them, Lightning's Trainer for some steps.

160 rows: query_item 67, item_item 28, item_type 28, query_type 22, query_query 9, type_type 6; all of them to train on
config.trainer.max_steps=24, steps of 40 rows → six epochs
"""

from dataclasses import asdict, replace
from typing import Any

import lightning as L
import numpy as np
import pyarrow as pa
import torch
from lightning.pytorch.callbacks import Callback
from torch.nn import functional

from relevance.config import Config, Family
from relevance.data.batches import Examples, MicroBatch, collate, unlabelled
from relevance.data.pairs_module import PairsModule
from relevance.data.tokens import Template
from relevance.model.module import RelevanceModule, quiet
from relevance.model.network import Network
from relevance.shop.generate import generate_pairs
from relevance.tasks import TASK_NAMES

ROWS, SEED = 160, 0
EACH = 2  # rows of each task in a mixed batch


def pairs_table() -> pa.Table:
    """The pairs of every cell, their labels without noise."""
    return generate_pairs(ROWS, SEED, noise=0.0)


def data_module(config: Config, rows: pa.Table, tokenizer: Any) -> PairsModule:
    """All of `rows` as the training split of a cell, the task named in the text where the routing says so."""
    template = Template(config.routing.prefix, config.model.family is Family.ce, config.model.max_length)
    examples = replace(unlabelled(rows, tokenizer, template), label=rows["label"].to_numpy(), weight=np.ones(len(rows)))
    return PairsModule(config, tokenizer, template, examples, {"train": np.arange(len(rows))})


def fit_steps(network: Network, config: Config, data: PairsModule, *callbacks: Callback) -> None:
    """Train in place, as `config.trainer` says, on the training rows of `data`."""
    quiet()
    trainer = L.Trainer(
        **{key: value for key, value in asdict(config.trainer).items() if value is not None},
        callbacks=list(callbacks),
        limit_val_batches=0,
        logger=False,
        enable_progress_bar=False,
        enable_checkpointing=False,
        enable_model_summary=False,
    )
    trainer.fit(RelevanceModule(network.train(), config), datamodule=data)


@torch.no_grad()
def mean_loss(network: Network, data: PairsModule) -> float:
    """Mean cross-entropy in nats over the training rows, dropout off."""
    network.eval()
    losses = [
        functional.cross_entropy(network(micro.inputs, micro.slices), micro.labels, reduction="none")
        for micro in data.scoring("train")
    ]
    return float(torch.cat(losses).mean())


def mixed_batch(examples: Examples) -> MicroBatch:
    """One batch with the first rows of all six tasks."""
    first = [np.flatnonzero(examples.task == task)[:EACH] for task in range(len(TASK_NAMES))]
    return collate(examples, np.concatenate(first))
