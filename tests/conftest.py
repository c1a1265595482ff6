"""Tiny backbones with random weights, made once per test run: real architectures, real tokenizers, no download."""

import gc
import os
import subprocess
from functools import cache, partial
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: on tiny networks two threads are slower than one
gc.disable()  # until all is imported: to look through millions of objects that stay takes seconds
os.fsync = lambda file: None  # what a test leaves need not outlive a power cut

WORDS = (
    "red blue green steel wood lamp chair table usb cable charger cup plate query item type : small large 10 20".split()
)


def pytest_collection_finish() -> None:
    """From here on the collector looks only at what tests make."""
    gc.freeze()
    gc.enable()


def _tokenizer(special: dict[str, str], template: bool):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    names = list(special.values())
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=names, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([" ".join(WORDS)] * 4, trainer)
    if template:
        ids = [(name, tokenizer.token_to_id(name)) for name in names]
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ids
        )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=64, **special)


def make_decoder(folder: Path, kind: str = "qwen3") -> Path:
    from transformers import AutoConfig, AutoModel

    tokenizer = _tokenizer({"pad_token": "<pad>", "eos_token": "<eos>"}, template=False)
    config = AutoConfig.for_model(
        kind,
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        max_position_embeddings=64,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
    )
    return _save(AutoModel.from_config(config), tokenizer, folder)


def make_encoder(folder: Path, kind: str = "modernbert") -> Path:
    from transformers import AutoConfig, AutoModel

    names = {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    tokenizer = _tokenizer(names, template=True)
    config = AutoConfig.for_model(
        kind,
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
        pad_token_id=tokenizer.pad_token_id,
        cls_token_id=tokenizer.cls_token_id,
        sep_token_id=tokenizer.sep_token_id,
        bos_token_id=None,
        eos_token_id=None,
    )
    return _save(AutoModel.from_config(config), tokenizer, folder)


def _save(model, tokenizer, folder: Path) -> Path:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def backbones(tmp_path_factory) -> dict[str, Path]:
    """Folders of tiny backbones: llm (qwen3), gpt2 (absolute positions), ce (modernbert), bert (post-norm)."""
    import torch

    torch.manual_seed(0)
    root = tmp_path_factory.mktemp("backbones")
    return {
        "llm": make_decoder(root / "llm"),
        "gpt2": make_decoder(root / "gpt2", "gpt2"),
        "ce": make_encoder(root / "ce"),
        "bert": make_encoder(root / "bert", "bert"),
    }


@pytest.fixture
def place(tmp_path, backbones):
    """A cell of defaults for a test of its own: 300 generated pairs, one epoch."""
    from small_sweep import small_cell  # takes torch along

    return partial(small_cell, tmp_path, backbones)


@pytest.fixture(scope="session")
def trained_cell(tmp_path_factory, backbones):
    """A maker of cells of defaults, trained once a session for all who only read what they left: their configs."""
    from small_sweep import small_cell, sweep

    from relevance.config import Save, TrainerConfig

    @cache
    def make(model: str, routing: str, precision: str | None = None):
        trainer = TrainerConfig(max_epochs=1, accelerator="cpu", precision=precision)
        folder = tmp_path_factory.mktemp(f"{model}-{routing}")
        config = small_cell(folder, backbones, model, routing, trainer=trainer, save=Save.all)
        assert sweep(config) == 0
        return config

    return make


@pytest.fixture
def disk(tmp_path):
    """A file system of 1 MB; skipped where this process can mount none."""
    place = tmp_path / "disk"
    place.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"needs a small tmpfs, which this process cannot mount: {error}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)
