"""A cell's model folder → folders that transformers or peft load, each with its input template and its parity.

outputs/cells/9f2c…/model, task=query_type → query_type/{config.json, model.safetensors, tokenizer…, template.json}
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from transformers import AutoModelForSequenceClassification

from relevance import whole
from relevance.config import Config
from relevance.data.batches import collate, unlabelled
from relevance.data.reading import Reading
from relevance.data.tokens import Template, recipe
from relevance.errors import UserError
from relevance.export.adapter import pad_beside_end, write_adapter
from relevance.export.plain import plain
from relevance.export.template import Example, loading, write_template
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
    difference: float  # largest, of a logit, both computed in float32


def export(model: Path, task: str, form: str, output: Path, trust_remote_code: bool = False) -> Exported:
    """Write one task's slice of the cell in `model` to `output`, read it back, and compare.

    Raises UserError where the cell or its architecture allows no such folder, or the logits differ by more than LIMIT.
    """
    with whole.folder(output) as part:
        difference = _write(model, task, form, part, trust_remote_code)
        if output.is_dir():
            output.rmdir()  # empty, or the command had refused it
    return Exported(output, difference)


def _write(model: Path, task: str, form: str, output: Path, trust_remote_code: bool) -> float:
    network, config = load(model, trust_remote_code)
    network.float()  # trainer.precision=bf16-true kept its trunk in bfloat16
    tokenizer, reading = pretrained.tokenizer(model / "tokenizer", config.model), Reading.of(model)
    _admit(network, config, reading, task)
    expected = _logits(network, _inputs(tokenizer, reading.template, task), TASK_INDEX[task])
    if form == "adapter":
        pad_beside_end(tokenizer)
        write_adapter(network, config, task, output)
    else:
        exported = plain(network, config, task)
        _pad_apart(exported, tokenizer)
        exported.save_pretrained(output)
    tokenizer.save_pretrained(output)
    inputs = _inputs(tokenizer, reading.template, task)
    difference = float((_read_back(output, form, inputs, tokenizer.pad_token_id) - expected).abs().max())
    if difference > LIMIT:
        raise UserError(
            f"{form} of {task}: read back, its logits differ by {difference:.1e} (allowed {LIMIT:.0e}); "
            f"{config.model.backbone} does not allow this form; use relevance.predict or the served model"
        )
    load_line = loading(config, form, tokenizer.pad_token_id)
    write_template(output, task, load_line, recipe(tokenizer, reading.template), _examples(inputs, expected))
    return difference


def _admit(network: Network, config: Config, reading: Reading, task: str) -> None:
    if config.routing.heads and reading.unknown([task]):
        raise UserError(f"task={task}: its head was never trained; this cell knows {', '.join(reading.tasks)}")
    if type(network.heads[0].classifier).__module__.startswith("transformers_modules"):
        raise UserError(
            f"{config.model.backbone}: its model is code of its own, which no plain folder holds; "
            "use relevance.predict or the served model"
        )


def _inputs(tokenizer, template: Template, task: str) -> dict[str, torch.Tensor]:
    """PAIRS as the cell's own code gives them to its network."""
    left, right = zip(*PAIRS, strict=True)
    table = pa.table({"task": [task] * len(PAIRS), "left": left, "right": right})
    return collate(unlabelled(table, tokenizer, template), np.arange(len(PAIRS))).inputs


def _examples(inputs: dict[str, torch.Tensor], logits: torch.Tensor) -> list[Example]:
    """What a reader can check theirs against, without the padding."""
    lengths = inputs["attention_mask"].sum(1).tolist()
    names = [name for name in inputs if name != "attention_mask"]
    return [
        Example(*pair, {name: inputs[name][row, :length].tolist() for name in names}, logits[row].tolist())
        for row, (pair, length) in enumerate(zip(PAIRS, lengths, strict=True))
    ]


@torch.no_grad()
def _logits(network: Network, inputs: dict[str, torch.Tensor], task: int) -> torch.Tensor:
    return network(inputs, [(task, 0, len(PAIRS))])


def _pad_apart(model, tokenizer) -> None:
    """A pad token of its own where it was the end token: transformers finds the last real token by its id."""
    if tokenizer.pad_token_id == tokenizer.eos_token_id:
        tokenizer.add_special_tokens({"pad_token": PAD})
        model.resize_token_embeddings(max(len(tokenizer), model.get_input_embeddings().num_embeddings))
        model.config.get_text_config().pad_token_id = tokenizer.pad_token_id


@torch.no_grad()
def _read_back(folder: Path, form: str, inputs: dict[str, torch.Tensor], pad: int) -> torch.Tensor:
    """Logits of the folder as its reader loads it."""
    if form == "adapter":
        from peft import AutoPeftModelForSequenceClassification

        again = AutoPeftModelForSequenceClassification.from_pretrained(
            folder, dtype=torch.float32, num_labels=len(LABELS), pad_token_id=pad
        )
    else:
        again = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    return again.eval()(**inputs).logits
