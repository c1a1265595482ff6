"""Whether an exported folder is the cell: what a process without our code reads in it, against the cell's own input."""

import atexit
import json
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from relevance.data.batches import collate, unlabelled
from relevance.data.tokens import Template, encode_pairs, segments
from relevance.errors import UserError, shorten
from relevance.export import reader

Pairs = Sequence[tuple[str, str]]
PAIRS = (  # of unequal length, to compare logits on
    ("usb c cable", "Volt USB-C cable 2 m, black"),
    ("red lamp", "chair"),
    ("a", "steel desk lamp with dimmer, 40 W"),
)


def odd_pairs(tokenizer, max_length: int) -> list[tuple[str, str]]:
    """Pairs whose ids a reader may make otherwise: too long, on one side or both; words of special tokens; spaces."""
    long = "steel desk lamp " * max_length
    longer = f"{long}with dimmer, 40 W"
    marks = " ".join(tokenizer.all_special_tokens)
    return [
        (long, "lamp"), ("lamp", long), (long, longer), (longer, long), (long, long),
        (f"lamp {marks}", f"{marks} lamp"), (" two  spaces ", "\ttab\nand line"), ("Übergröße 東京", "ﬁne 🙂"),
    ]  # fmt: skip


def read_back(folder: Path, form: str, pairs: Pairs, remedy: str) -> dict[str, Any]:
    """What `reader`, in a process that has none of our code, makes of the folder: ids of all pairs, logits of PAIRS.

    Raises UserError where it cannot.
    """
    request = {"folder": str(folder.absolute()), "form": form, "pairs": pairs, "scored": len(PAIRS)}
    process = _reader()
    with suppress(BrokenPipeError):
        print(json.dumps(request), file=process.stdin, flush=True)
    answer = json.loads(process.stdout.readline() or '{"error": "the process that read it was ended"}')
    if problem := answer.get("error"):
        raise UserError(f"{form}: transformers does not read it back ({problem.splitlines()[0]}); {remedy}")
    return answer


@cache
def _reader() -> Any:
    """One for all folders of a command: it takes seconds to start. It ends with its stdin, as this process does."""
    command = [sys.executable, "-P", str(reader.__file__)]  # -P: nothing beside that file is imported
    process = subprocess.Popen(command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, encoding="utf-8")
    atexit.register(process.communicate)
    return process


@dataclass(frozen=True)
class PairsOfTask:
    """How a cell reads pairs of one task."""

    tokenizer: Any
    template: Template
    task: str

    def batch(self, pairs: Pairs) -> dict[str, torch.Tensor]:
        """Pairs as the cell's own code gives them to its network."""
        return collate(unlabelled(self._table(pairs), self.tokenizer, self.template), np.arange(len(pairs))).inputs

    def check_ids(self, read: dict[str, Any], pairs: Pairs, remedy: str) -> None:
        """UserError where what was read back makes another input of one of these pairs than the cell."""
        tokens = encode_pairs(self._table(pairs), self.tokenizer, self.template)
        for row, (ids, start) in enumerate(zip(np.split(tokens.ids, tokens.offsets[1:-1]), tokens.second, strict=True)):
            same = read["input_ids"][row] == ids.tolist()
            if segments(self.tokenizer, self.template):
                same &= read["token_type_ids"][row] == (np.arange(len(ids)) >= start).astype(int).tolist()
            if not same:
                left, right = map(shorten, pairs[row])
                why = "" if self.template.odd_to_longer else "; cells before numerics 3 cut two long texts so"
                raise UserError(
                    f"{self.task}: read back, tokenizer({left}, {right}, truncation=True) gives other ids than the "
                    f"cell reads{why}; {remedy}"
                )

    def _table(self, pairs: Pairs) -> pa.Table:
        left, right = zip(*pairs, strict=True)
        return pa.table({"task": [self.task] * len(pairs), "left": left, "right": right})
