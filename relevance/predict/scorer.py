"""A trained cell as a function of pairs: model folder → probabilities [N, 3].

task="query_item" left="usb c cable" right="Volt USB-C cable 2 m" → [0.04, 0.11, 0.85]
"""

import warnings
from collections.abc import Callable
from pathlib import Path
from threading import Lock

import numpy as np
import pyarrow as pa
import torch

from relevance.config import MIXED
from relevance.data.batches import MicroBatch, ScoreDataset, scored_tokens, unlabelled
from relevance.data.tokens import Reading
from relevance.errors import UserError, first_line
from relevance.model.build import halves_frozen
from relevance.model.pretrained import load_tokenizer
from relevance.model.store import load_network, whole


class Scorer:
    """Scores tables of pairs with the model in a folder, one at a time whatever threads ask; prints nothing.

    `device` is a name torch knows, null: CUDA where there is one. Raises UserError for a folder without a model, a
    device that is not there, and a backbone with code of its own where `trust_remote_code` is off.
    """

    def __init__(self, folder: Path, device: str | None = None, trust_remote_code: bool = False):
        self.device = _device(device)
        self.folder = folder
        with warnings.catch_warnings(), whole(folder):
            warnings.filterwarnings("ignore", ".*is_gradient_checkpointing.*")  # peft asks transformers by an old name
            network, self.config = load_network(folder, trust_remote_code)
            if halves_frozen(self.config):
                network.halve_frozen()
            self.tokenizer = load_tokenizer(folder / "tokenizer", self.config.model)
            self.reading = Reading.of(folder)
            self.reading.check(self.config, folder)
        self.network = network.to(self.device)
        self.alone = Lock()  # the network holds the slices of the batch in it, and tokenizers are not for two threads
        self.half = self.config.trainer.precision == MIXED  # under bf16-true the network itself is halved
        with whole(folder):
            self.probabilities(pa.table({"task": self.reading.tasks[:1], "left": ["red lamp"], "right": ["lamp"]}))

    @torch.inference_mode()
    def probabilities(self, table: pa.Table, tell: Callable[[int], object] | None = None) -> np.ndarray:
        """[N, 3] float32 for the N rows of `table` (columns task, left, right), in their order.

        The tasks are names in TASK_NAMES, the texts are not empty. `tell` is called with the rows of every batch.
        Raises UserError where the model gives no probabilities.
        """
        probabilities = np.empty((len(table), 3), np.float32)
        with self.alone:
            examples = unlabelled(table, self.tokenizer, self.reading.template, self.config.routing.prompt.k)
            budget = scored_tokens(self.config.train, self.device.type == "cuda")
            batches = ScoreDataset(examples, np.arange(len(table)), budget)
            for micro in (batches[index] for index in range(len(batches))):
                logits = micro.logits(self._logits)
                probabilities[micro.rows.numpy()] = logits.cpu().double().softmax(-1).numpy()
                if tell:
                    tell(len(micro.rows))
        if bad := np.flatnonzero(~np.isfinite(probabilities).all(axis=1)).tolist():
            raise UserError(
                f"{self.folder}: gives no probabilities for {len(bad):,} of {len(table):,} rows (row {bad[0]} of them "
                "first); its weights are damaged or too large: train the cell with rerun=true"
            )
        return probabilities

    def _logits(self, micro: MicroBatch) -> torch.Tensor:
        inputs = {name: tensor.to(self.device) for name, tensor in micro.inputs.items()}
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            return self.network(inputs, micro.slices)


def _device(name: str | None) -> torch.device:
    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device={name}: {first_line(error)}; use cpu, cuda, or null for CUDA where it is") from error
    return device
