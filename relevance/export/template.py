"""template.json of an exported folder: how a reader without this project makes the same input.

{"task": "item_type", "input_ids": "before + prefix + ids(left) + ...", "before": [2], ..., "examples": [...]}
"""

import json
from dataclasses import dataclass
from pathlib import Path

from relevance.tasks import LABELS

IDS = "tokenizer(text, add_special_tokens=False, split_special_tokens=True)"
SEGMENTS = "0 up to and with between, 1 from right on"
LOADED = {
    "merged": "AutoModelForSequenceClassification.from_pretrained(folder)",
    "adapter": "AutoPeftModelForSequenceClassification.from_pretrained(folder, num_labels=3, pad_token_id={pad})",
}


@dataclass(frozen=True)
class Example:
    """A pair, what it is to a model, and what the model answers."""

    left: str
    right: str
    inputs: dict[str, list[int]]  # input_ids, and token_type_ids where the model reads them
    logits: list[float]

    def said(self) -> dict[str, object]:
        logits = [round(value, 6) for value in self.logits]
        return {"left": self.left, "right": self.right, **self.inputs, "logits": logits}


def write_template(folder: Path, how: dict, task: str, form: str, examples: list[Example]) -> None:
    """Write template.json: a line for each thing to know, `how` as `tokens.recipe` gives it."""
    segments = {"token_type_ids": SEGMENTS} if "token_type_ids" in examples[0].inputs else {}
    said = {
        "task": task,
        "labels": list(LABELS),
        "load": LOADED[form].format(pad=how["pad"]),
        "input_ids": "before + prefix + ids(left) + between + ids(right) + after",
        "ids(text)": IDS,
        **segments,
        **{name: how[name] for name in ("before", "between", "after")},
        "prefix": how["prefix"].get(task, []),
        "max_length": how["max_length"],
        "too_long": "the longer text gives way first, from its end",
        "padding": "right",
        "examples": [one.said() for one in examples],
    }
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in said.items())
    (folder / "template.json").write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
