"""The data of a cell: what of rows.parquet is read for it."""

import pyarrow.parquet as pq
import torch
from transformers import AutoTokenizer

from relevance import seal
from relevance.config import Config, DataConfig, ModelConfig, RoutingConfig
from relevance.data.pairs_module import pairs_module
from relevance.data.table import prepare_rows


def first(config, rows, tokenizer):
    return next(iter(pairs_module(config, rows, tokenizer, "id").train_dataloader()))[0]


def test_once_there_are_tokens_training_begins_without_the_texts(tmp_path, backbones, monkeypatch):
    config = Config(outputs=str(tmp_path), model=ModelConfig(max_length=64), routing=RoutingConfig("mh", heads=True))
    rows = prepare_rows(DataConfig(rows=300), tmp_path).path
    tokenizer = AutoTokenizer.from_pretrained(backbones["ce"])
    before = first(config, rows, tokenizer)
    table = pq.read_table(rows)
    pq.write_table(table.drop_columns(["left", "right", "left_id", "right_id"]), rows)
    seal.write(rows, rows.parent.name)
    read, read_parquet = [], pq.read_table
    monkeypatch.setattr(
        pq,
        "read_table",
        lambda *_, columns, **options: read.extend(columns) or read_parquet(*_, columns=columns, **options),
    )
    after = first(config, rows, tokenizer)
    assert set(read) == {"task", "split", "label"}
    assert torch.equal(before.inputs["input_ids"], after.inputs["input_ids"])
    assert torch.equal(before.labels, after.labels)
