"""Learnt vectors of each task in front of its rows' embedded tokens, where `prefix` has words (arXiv 2104.08691).

ids [B, T] → k more in front [B, k + T], embedded as the k vectors of the row's task → states [B, T, H] of the text

They start as the embeddings of k words of the vocabulary, others for each task. A hook on the embedding layer puts them
there, so that positions, masks and whatever else a backbone makes of its ids are those of a text of k + T tokens.
"""

from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedModel

from relevance.config import Config
from relevance.errors import UserError
from relevance.model.private import Inputs, PrivateLayers
from relevance.tasks import TASK_NAMES


class Prompt(nn.Module):
    """The vectors [k, H] of one task."""

    def __init__(self, start: torch.Tensor):
        super().__init__()
        self.vectors = nn.Parameter(start)


class SoftPrompt(PrivateLayers):
    """Branches of one module: the vectors of a task."""

    halves = False

    def __init__(self, trunk: PreTrainedModel, config: Config):
        embedding: Any = trunk.get_input_embeddings()
        front = config.routing.prompt.k
        words = torch.randint(len(embedding.weight), (len(TASK_NAMES), front)).to(embedding.weight.device)
        with torch.no_grad():
            starts = embedding(words).float()
        super().__init__(nn.ModuleList(nn.ModuleList([Prompt(start.clone())]) for start in starts))
        self.front, self.routing = front, config.routing.name
        middle, pad = len(embedding.weight) // 2, trunk.config.get_text_config().pad_token_id
        self.placeholder = middle + (middle == pad)  # no pad, by which roberta counts positions; mpnet's is always 1
        embedding.register_forward_hook(self._put)

    def fronted(self, inputs: Inputs) -> Inputs:
        first = {"input_ids": self.placeholder, "attention_mask": 1}  # token_type_ids: 0, as of the left text
        return {name: functional.pad(of, (self.front, 0), value=first.get(name, 0)) for name, of in inputs.items()}

    def start(self) -> str:
        return "embedded words"

    def check_mergeable(self) -> None:
        raise UserError(
            f"routing={self.routing}: learnt vectors in front of the text are no tokens, and no plain folder has them; "
            "use relevance.predict or the served model"
        )

    def merge(self, trunk: PreTrainedModel, task: int) -> None:
        self.check_mergeable()

    def _put(self, embedding: nn.Module, args: tuple, output: torch.Tensor) -> torch.Tensor:
        """The embedded tokens [B, k + T, H], the vectors of each row's task in the first k places."""
        each = [self.branch(task)[0].vectors.expand(b - a, -1, -1) for task, a, b in self.slices]
        return torch.cat([torch.cat(each).to(output.dtype), output[:, self.front :]], dim=1)
