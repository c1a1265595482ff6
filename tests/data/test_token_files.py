"""Token ids on disk: the bytes of today whatever the cores and the parts, each text once, whole or not at all."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from transformers import AutoTokenizer

from relevance.data import token_ids
from relevance.data.token_ids import ragged
from relevance.data.tokens import ARRAYS, Template, encode_pairs, load_tokens
from relevance.tasks import TASK_NAMES

WORDS = ["red", "steel", "lamp", "usb", "größe", "机", "[SEP]", "<eos>", "10", " two  spaces "]
TEMPLATE = Template(prefix=True, pair=True, max_length=24)
WRITER = """
import sys, time
from pathlib import Path
from relevance.data import tokens
from relevance.data.token_ids import Growing

class Tokenizer:
    is_fast, eos_token_id, model_input_names = False, 1, []
    def __len__(self):
        return 300
    def __call__(self, texts, **_):
        alone = isinstance(texts, str)
        return {"input_ids": list(texts.encode()) if alone else [list(text.encode()) for text in texts]}

append = Growing.append
def slowly(self, values):
    append(self, values)
    if self.path.name == "second.npy":
        print("a part is written", flush=True)
        time.sleep(float(sys.argv[3]))

Growing.append, tokens.BATCH = slowly, 100
made = tokens.load_tokens(Path(sys.argv[1]), Tokenizer(), "id", tokens.Template(False, False, 64), Path(sys.argv[2]))
print(len(made.offsets) - 1)
"""


@pytest.fixture
def rows(tmp_path) -> Path:
    """1,500 pairs of all tasks whose 3,000 texts are of 800 kinds, in row groups of 400."""
    random = np.random.default_rng(0)
    texts = np.array([f"{' '.join(random.choice(WORDS, 1 + n % 9))} {n}" for n in range(800)])
    sides = {side: random.choice(texts, 1_500) for side in ("left", "right")}
    path = tmp_path / "digest" / "rows.parquet"
    path.parent.mkdir()
    pq.write_table(pa.table({"task": random.choice(TASK_NAMES, 1_500), **sides}), path, row_group_size=400)
    return path


def made(rows: Path, tokenizer, place: Path) -> dict[str, bytes]:
    """What the folder of a new cache holds."""
    load_tokens(rows, tokenizer, "id", TEMPLATE, place)
    (folder,) = (path for path in place.iterdir() if path.is_dir())
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_same_bytes_on_any_number_of_cores_in_parts_of_any_size(rows, backbones, tmp_path, monkeypatch):
    tokenizer = AutoTokenizer.from_pretrained(backbones["ce"])
    actual = []
    for number, (cores, batch, few, size) in enumerate(
        [("false", 10_000, 10_000, 9), ("true", 10_000, 1, 7), ("true", 130, 1, 50), ("false", 1, 0, 1)]
    ):
        monkeypatch.setenv("TOKENIZERS_PARALLELISM", cores)
        monkeypatch.setattr("relevance.data.tokens.BATCH", batch)
        monkeypatch.setattr(token_ids, "FEW", few)
        monkeypatch.setattr(token_ids, "SLICE", size)
        actual.append(made(rows, tokenizer, tmp_path / str(number)))
    assert set(actual[0]) == {"ids.npy", "offsets.npy", "second.npy", "meta.json", "seal.json"}
    assert actual[1:] == actual[:1] * 3


def test_the_files_are_what_numpy_would_have_saved(rows, backbones, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(backbones["ce"])
    actual, expected = (
        made(rows, tokenizer, tmp_path / "tokens"),
        encode_pairs(pq.read_table(rows), tokenizer, TEMPLATE),
    )
    for name in ARRAYS:
        np.save(tmp_path / f"{name}.npy", getattr(expected, name))
        assert actual[f"{name}.npy"] == (tmp_path / f"{name}.npy").read_bytes()


@pytest.mark.parametrize("kind", ["ce", "llm", "bert"])
def test_many_texts_have_the_ids_that_each_has_alone(backbones, kind):
    tokenizer = AutoTokenizer.from_pretrained(backbones[kind])
    tokenizer(["red", "a longer one"], padding=True, truncation=True, max_length=3)  # settings of another's call
    texts = [f"{word} {n}" for n in range(60) for word in WORDS]
    actual = ragged(tokenizer, texts)
    for text, start, length in zip(texts, actual.starts, actual.lengths, strict=True):
        alone = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        assert actual.ids[start : start + length].tolist() == alone


def test_each_different_text_is_tokenized_once(rows, backbones, tmp_path, monkeypatch):
    encoded = []
    monkeypatch.setattr("relevance.data.tokens.BATCH", 100)
    monkeypatch.setattr(token_ids, "ragged", lambda tokenizer, texts: encoded.extend(texts) or ragged(tokenizer, texts))
    made(rows, AutoTokenizer.from_pretrained(backbones["ce"]), tmp_path / "tokens")
    table = pq.read_table(rows)
    assert sorted(encoded) == sorted({*table["left"].to_pylist(), *table["right"].to_pylist()})


@pytest.mark.parametrize("like", ["one", "few"])
def test_texts_of_equal_hash_keep_their_own_ids(rows, backbones, tmp_path, monkeypatch, like):
    tokenizer = AutoTokenizer.from_pretrained(backbones["ce"])
    expected = made(rows, tokenizer, tmp_path / "tokens")
    from pandas.util import hash_array

    def first_alike(values, hash_key, **_):
        hashes = hash_array(values, hash_key=hash_key, categorize=False)
        return hashes if hash_key == token_ids.KEYS[1] else hashes % np.uint64({"one": 1, "few": 20}[like])

    monkeypatch.setattr("pandas.util.hash_array", first_alike)
    monkeypatch.setattr("relevance.data.tokens.BATCH", 300)
    assert made(rows, tokenizer, tmp_path / "again") == expected


def test_a_writer_that_is_killed_leaves_no_tokens_and_the_next_makes_them_whole(rows, tmp_path):
    cache = tmp_path / "tokens"

    def writer(pause: str) -> subprocess.Popen:
        return subprocess.Popen([sys.executable, "-c", WRITER, rows, cache, pause], stdout=subprocess.PIPE, text=True)

    killed = writer("60")
    assert killed.stdout.readline() == "a part is written\n"
    assert list(cache.glob(".*.part/ids.npy"))
    killed.kill()
    assert killed.wait() == -signal.SIGKILL
    killed.stdout.close()
    assert not [path for path in cache.iterdir() if path.is_dir() and not path.name.startswith(".")]
    output, _ = writer("0").communicate(timeout=60)
    assert output.splitlines()[-1] == "1500"
    assert not list(cache.glob(".*.part"))
