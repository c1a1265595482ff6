"""What tools.benchmarks.training runs beside ours: the same rows and backbone under other trainers (extra `bench`).

A peer → a function that trains for `steps` steps after a warm-up and returns their seconds. Logs, saves nothing.
"""

import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from transformers import DataCollatorWithPadding, Trainer, TrainerCallback, TrainingArguments

from relevance.data.batches import PairsModule

RATE, MOST = 1e-4, 128  # learning rate; tokens of a pair
Run = Callable[[int, int], float]  # (steps of warm-up, steps on the clock) → seconds


def wait() -> None:
    """Until the device has done what it was sent."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def clock() -> float:
    """Seconds: on CUDA those that pass, elsewhere (one thread) those of the CPU."""
    return time.perf_counter() if torch.cuda.is_available() else time.process_time()


class Clock(TrainerCallback):
    """Seconds of the steps behind the warm-up, loading included."""

    def __init__(self, warm: int, steps: int):
        self.warm, self.last, self.seconds = warm, warm + steps, 0.0

    def on_step_end(self, args, state, control, **_other) -> None:
        if state.global_step in (self.warm, self.last):
            wait()
            self.seconds = clock() - self.seconds


def arguments(kind: type, folder: Path, rows: int, steps: int, **more: Any) -> Any:
    """TrainingArguments of `kind`: steps of `rows` rows, in bf16 on CUDA, that write nothing."""
    cuda = torch.cuda.is_available()
    return kind(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=rows,
        learning_rate=RATE,
        save_strategy="no",
        report_to="none",
        logging_steps=1000,
        disable_tqdm=True,
        bf16=cuda,
        use_cpu=not cuda,
        **more,
    )


def lora_trainer(backbone: Path, data: PairsModule, rows: int, grouped: bool) -> Run:
    """HF Trainer with PEFT, LoRA of all linear layers; `grouped`: batches of like length."""
    from datasets import Dataset
    from peft import LoraConfig, TaskType, get_peft_model
    from transformers import AutoModelForSequenceClassification

    ids, offsets = data.examples.tokens.ids, data.examples.tokens.offsets
    texts = [ids[a:b].tolist() for a, b in pairwise(offsets)]
    table = Dataset.from_dict({"input_ids": texts, "labels": data.examples.label.tolist()})
    model = AutoModelForSequenceClassification.from_pretrained(backbone, num_labels=3)
    model.config.pad_token_id = data.tokenizer.pad_token_id
    settings = LoraConfig(task_type=TaskType.SEQ_CLS, r=16, lora_alpha=32, target_modules="all-linear")
    adapted = get_peft_model(model, settings)
    strategy = "group_by_length" if grouped else "random"

    def run(warm: int, steps: int) -> float:
        timed = Clock(warm, steps)
        args = arguments(TrainingArguments, backbone, rows, warm + steps, train_sampling_strategy=strategy)
        collator = DataCollatorWithPadding(data.tokenizer)
        Trainer(model=adapted, args=args, train_dataset=table, data_collator=collator, callbacks=[timed]).train()
        adapted.cpu()
        return timed.seconds

    return run


def cross_encoder(backbone: Path, texts: dict[str, list], rows: int) -> Run:
    """sentence-transformers' CrossEncoderTrainer; `texts`: columns left, right and label, tokenized as it trains."""
    from datasets import Dataset
    from sentence_transformers.cross_encoder import CrossEncoder, CrossEncoderTrainer, CrossEncoderTrainingArguments
    from sentence_transformers.cross_encoder.losses import CrossEntropyLoss

    model = CrossEncoder(str(backbone), num_labels=3, max_length=MOST)
    table = Dataset.from_dict(texts)

    def run(warm: int, steps: int) -> float:
        timed = Clock(warm, steps)
        args = arguments(CrossEncoderTrainingArguments, backbone, rows, warm + steps)
        loss = CrossEntropyLoss(model)
        CrossEncoderTrainer(model=model, args=args, train_dataset=table, loss=loss, callbacks=[timed]).train()
        model.cpu()
        return timed.seconds

    return run
