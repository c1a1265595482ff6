"""A cell's model folder → folders that transformers or peft load, each with its input template and its parity.

outputs/cells/9f2c…/model, task=query_type → query_type/{config.json, model.safetensors, tokenizer…, template.json}
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from transformers import AutoModelForSequenceClassification

from relevance.data.tokens import Template, recipe
from relevance.errors import UserError
from relevance.export.adapter import write_adapter
from relevance.export.plain import plain
from relevance.model import pretrained
from relevance.model.network import Network
from relevance.model.store import load
from relevance.tasks import LABELS, TASK_INDEX

LIMIT = 1e-4  # between a logit of the cell and of the folder read back
PAIRS = (  # of unequal length, to compare logits on
    ("usb c cable", "Volt USB-C cable 2 m, black"),
    ("red lamp", "chair"),
    ("a", "steel desk lamp with dimmer, 40 W"),
)
PAD = "<|pad|>"


@dataclass(frozen=True)
class Exported:
    """One folder that was written."""

    folder: Path
    difference: float  # largest, of a logit


def export(model: Path, task: str, form: str, output: Path) -> Exported:
    """Write one task's slice of the cell in `model` to `output`, read it back, and compare.

    Raises UserError where the architecture allows no such folder or the logits differ by more than LIMIT.
    """
    part = output.with_name(output.name + ".part")  # whole or not at all
    shutil.rmtree(part, ignore_errors=True)
    try:
        difference = _write(model, task, form, part)
        output.parent.mkdir(parents=True, exist_ok=True)
        if output.is_dir():
            output.rmdir()  # empty, or the command had refused it
        part.rename(output)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return Exported(output, difference)


def _write(model: Path, task: str, form: str, output: Path) -> float:
    network, config = load(model)
    network.float()  # trainer.precision=bf16-true kept its trunk in bfloat16
    tokenizer = pretrained.tokenizer(model / "tokenizer", config.model)
    template = Template(**json.loads((model / "template.json").read_text()))
    how = recipe(tokenizer, template)
    rows = [ids_of(how, tokenizer, task, *pair) for pair in PAIRS]
    expected = _logits(network, rows, tokenizer.pad_token_id, TASK_INDEX[task])
    if form == "adapter":
        write_adapter(network, config, task, output)
    else:
        exported = plain(network, config, task)
        _pad_apart(exported, tokenizer)
        exported.save_pretrained(output)
    tokenizer.save_pretrained(output)
    difference = float((_read_back(output, form, rows, tokenizer.pad_token_id) - expected).abs().max())
    if difference > LIMIT:
        raise UserError(
            f"{form} of {task}: read back, its logits differ by {difference:.1e} (allowed {LIMIT:.0e}); "
            f"{config.model.backbone} does not allow this form; use relevance.predict or the served model"
        )
    _write_template(output, how, task, rows, expected)
    return difference


def ids_of(how: dict, tokenizer, task: str, left: str, right: str) -> list[int]:
    """The ids of one pair by the recipe; the template.json of every export says the same in words."""
    plainly = {"add_special_tokens": False, "split_special_tokens": True}
    a, b = (tokenizer(text, **plainly)["input_ids"] for text in (left, right))
    return [*how["before"], *how["prefix"].get(task, []), *a, *how["between"], *b, *how["after"]]


@torch.no_grad()
def _logits(network: Network, rows: list[list[int]], pad: int, task: int) -> torch.Tensor:
    return network(_padded(rows, pad), [(task, 0, len(rows))])


def _padded(rows: list[list[int]], pad: int) -> dict[str, torch.Tensor]:
    ids = nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=pad)
    mask = nn.utils.rnn.pad_sequence([torch.ones(len(row), dtype=torch.long) for row in rows], batch_first=True)
    return {"input_ids": ids, "attention_mask": mask}


def _pad_apart(model, tokenizer) -> None:
    """A pad token of its own where it was the end token: transformers finds the last real token by its id."""
    if tokenizer.pad_token_id == tokenizer.eos_token_id:
        tokenizer.add_special_tokens({"pad_token": PAD})
        model.resize_token_embeddings(max(len(tokenizer), model.get_input_embeddings().num_embeddings))
        model.config.get_text_config().pad_token_id = tokenizer.pad_token_id


@torch.no_grad()
def _read_back(folder: Path, form: str, rows: list[list[int]], pad: int) -> torch.Tensor:
    """Logits of the folder as its reader loads it."""
    if form == "adapter":
        from peft import AutoPeftModelForSequenceClassification

        again = AutoPeftModelForSequenceClassification.from_pretrained(
            folder, dtype=torch.float32, num_labels=len(LABELS), pad_token_id=pad
        )
    else:
        again = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    return again.eval()(**_padded(rows, pad)).logits


def _write_template(folder: Path, how: dict, task: str, rows: list[list[int]], logits: torch.Tensor) -> None:
    """template.json: what a reader needs to make the same ids, with examples to check theirs against."""
    said = {
        "task": task,
        "labels": list(LABELS),
        "input_ids": "before + prefix + ids(left) + between + ids(right) + after",
        "ids(text)": "tokenizer(text, add_special_tokens=False, split_special_tokens=True)",
        **{name: how[name] for name in ("before", "between", "after")},
        "prefix": how["prefix"].get(task, []),
        "max_length": how["max_length"],
        "too_long": "the longer text gives way first, from its end",
        "padding": "right",
        "examples": [
            {"left": left, "right": right, "input_ids": ids, "logits": [round(value, 6) for value in row]}
            for (left, right), ids, row in zip(PAIRS, rows, logits.tolist(), strict=True)
        ],
    }
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in said.items())
    (folder / "template.json").write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
