"""A folder as a stranger reads it: with transformers or peft and nothing of ours. The export runs this file by itself.

A line of stdin {"folder": …, "form": "merged", "pairs": [[left, right], …], "scored": 3} → a line of stdout:
{"input_ids": [[…], …], "token_type_ids": …, "logits": [[…], …]}: ids of all pairs, logits of the first; or {"error": …}
"""

import json
import sys
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer


def read(folder: str, form: str, pairs: list[tuple[str, str]], scored: int) -> dict[str, Any]:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    left, right = map(list, zip(*pairs, strict=True))
    inputs = tokenizer(left[:scored], right[:scored], truncation=True, padding=True, return_tensors="pt")
    with torch.no_grad():
        logits = _model(folder, form, tokenizer.pad_token_id).eval()(**inputs).logits
    return {**tokenizer(left, right, truncation=True), "logits": logits.tolist()}


def _model(folder: str, form: str, pad: int):
    if form == "merged":
        return AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    from peft import AutoPeftModelForSequenceClassification

    return AutoPeftModelForSequenceClassification.from_pretrained(
        folder, dtype=torch.float32, num_labels=3, pad_token_id=pad
    )


def main() -> None:
    answers, sys.stdout = sys.stdout, sys.stderr  # libraries print what they like
    for line in sys.stdin:
        try:
            answer = read(**json.loads(line))
        except Exception as error:  # whatever a folder makes its readers raise
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
