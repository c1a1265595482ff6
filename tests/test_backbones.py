"""The backbones that ship with the project load as any Hugging Face folder and read any text."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

from tools.backbones.build import LIMIT
from tools.backbones.options import NAMES

FOLDERS = Path(__file__).resolve().parent.parent / "relevance" / "backbones"
TEXTS = (
    "usb c cable",
    'Größe 42, "naïve" crème brûlée — 50 % off',
    "日本語のテキスト и кириллица",
    "🛋️ sofa\tbed\r\n 2  m",
    "".join(map(chr, range(256))),
)


@pytest.fixture(params=NAMES)
def folder(request: pytest.FixtureRequest) -> Path:
    return FOLDERS / request.param


def test_folder_is_small_and_says_where_it_comes_from(folder):
    names = {file.name for file in folder.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"} <= names
    assert sum(file.stat().st_size for file in folder.iterdir()) <= LIMIT
    told = json.loads((folder / "provenance.json").read_text())
    assert told["command"].startswith(f"python -m tools.backbones names=[{folder.name}]")
    assert told["corpus"]["entities_of_default_data"] == 0
    assert told["held_out"]["all"]["tokens"] < told["unigram_loss"] - 1
    assert all(told["held_out"][pairs]["right"] > 0.7 for pairs in ("pairs", "named_pairs"))


@pytest.mark.parametrize("text", TEXTS)
def test_tokenizer_gives_back_any_text(folder, text):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    # a text starts as if a space stood before it, so that a word is the same token wherever it stands
    assert tokenizer.decode(ids).removeprefix(" ") == text.removeprefix(" ")
    assert tokenizer.unk_token_id is None
    assert not set(ids) & set(tokenizer.all_special_ids)


def test_tokenizer_pads_on_the_right_with_a_token_of_its_own(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.pad_token_id is not None
    assert tokenizer.pad_token_id not in (tokenizer.eos_token_id, tokenizer.sep_token_id)
    assert tokenizer.padding_side == "right"


def test_models_give_finite_states_and_read_512_tokens(folder):
    model = AutoModel.from_pretrained(folder).eval()
    assert model.config.max_position_embeddings >= 512
    ids = torch.arange(5, 517)[None]
    with torch.no_grad():
        states = model(input_ids=ids).last_hidden_state
    assert states.shape == (1, 512, model.config.hidden_size)
    assert torch.isfinite(states).all()


def test_classifier_starts_from_the_pretrained_weights(folder):
    body = AutoModel.from_pretrained(folder).state_dict()
    classifier = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=3).base_model.state_dict()
    assert body.keys() == classifier.keys()
    assert all(torch.equal(weight, classifier[name]) for name, weight in body.items())


def test_the_two_decoders_differ_in_architecture_and_in_tokens():
    kinds = [json.loads((FOLDERS / name / "config.json").read_text()) for name in ("llm", "llm_b")]
    assert kinds[0]["model_type"] != kinds[1]["model_type"]
    assert kinds[0]["vocab_size"] != kinds[1]["vocab_size"]


def test_the_pair_differs_in_attention_and_objective_alone():
    """One tokenizer, one corpus, the same blocks: only the type of the model and what says where it pools differ."""
    llm, ce = (FOLDERS / name for name in ("llm", "ce"))
    assert (llm / "tokenizer.json").read_bytes() == (ce / "tokenizer.json").read_bytes()
    provenance = [json.loads((folder / "provenance.json").read_text()) for folder in (llm, ce)]
    same = ("corpus", "tokens_in_corpus", "tokens_read", "steps", "seed", "threads", "parameters")
    assert all(provenance[0][key] == provenance[1][key] for key in same)
    shapes = [{k: v.shape for k, v in AutoModel.from_pretrained(folder).state_dict().items()} for folder in (llm, ce)]
    assert shapes[0] == shapes[1]


def test_encoder_frames_a_pair():
    tokenizer = AutoTokenizer.from_pretrained(FOLDERS / "ce")
    tokens = tokenizer.convert_ids_to_tokens(tokenizer("red", "blue")["input_ids"])
    assert (tokens[0], tokens[3], tokens[-1]) == ("[CLS]", "Ċ", "[SEP]")  # a line break stands between the texts
