"""What lies on the fixture hub: tiny models of random weights under the file lists that the real repositories have."""

import io
import json
from pathlib import Path

import torch
from safetensors.torch import load, save

from tests.conftest import WORDS, make_decoder, make_encoder
from tests.hub.server import Answer, Hub, contents, refused

FILLER = b"of no use here\n"
FOUR = ("README.md", ".gitattributes", "LICENSE", "generation_config.json")
LLAMA = (*FOUR, "USE_POLICY.md", "special_tokens_map.json", "original/params.json", "original/tokenizer.model")
ELECTRA = ("README.md", ".gitattributes", "flax_model.msgpack", "tf_model.h5", "rust_model.ot")
MODERNBERT = ("README.md", ".gitattributes", "special_tokens_map.json", "pytorch_model.bin")
ONNX = tuple(f"onnx/model{kind}.onnx" for kind in ("", "_fp16", "_int8", "_q4"))


def members(hub: Hub, folder: Path) -> None:
    """The eight of backbones=small and backbones=paper."""
    qwen, llama, gemma = (contents(make_decoder(folder / kind, kind)) for kind in ("qwen3", "llama", "gemma2"))
    modern, electra = contents(make_encoder(folder / "modernbert")), contents(wordpiece(folder / "electra", "electra"))
    hub.repository("Qwen/Qwen3-0.6B", beside(qwen, (*FOUR, "merges.txt", "vocab.json")))
    one = beside(llama, (*LLAMA, "original/consolidated.00.pth"))
    hub.repository("meta-llama/Llama-3.2-1B", one, gated=True)
    hub.repository("google/gemma-2-2b", parts(beside(gemma, (*FOUR, "tokenizer.model"))), gated=True)
    four = parts(beside(llama, (*LLAMA, "original/consolidated.00.pth")), 4)
    hub.repository("meta-llama/Meta-Llama-3-8B", four, gated=True)
    for size in ("base", "large"):
        hub.repository(f"answerdotai/ModernBERT-{size}", beside(modern, (*MODERNBERT, *ONNX)))
        hub.repository(f"google/electra-{size}-discriminator", beside(pickled(electra), ELECTRA))


def beside(files: dict[str, bytes], names: tuple[str, ...]) -> dict[str, bytes]:
    """The files, among others that are there and of no use."""
    special = {name: b"{}" for name in names if name.endswith(".json")}
    return {**dict.fromkeys(names, FILLER), **special, **files}


def pickled(files: dict[str, bytes], old: bool = True) -> dict[str, bytes]:
    """Weights as torch.save wrote them, before 2020 or after; two of them share their memory."""
    weights = {name: tensor.clone() for name, tensor in _weights(files).items()}
    weights["tied.weight"] = next(iter(weights.values()))
    held = io.BytesIO()
    torch.save(weights, held, _use_new_zipfile_serialization=not old)
    return {**without_weights(files), "pytorch_model.bin": held.getvalue()}


def parts(files: dict[str, bytes], number: int = 3) -> dict[str, bytes]:
    """Weights cut in parts, with their index."""
    weights = _weights(files)
    names = {key: f"model-{1 + at % number:05}-of-{number:05}.safetensors" for at, key in enumerate(sorted(weights))}
    shards = {
        part: save({key: weights[key] for key in weights if names[key] == part}, {"format": "pt"})
        for part in sorted(set(names.values()))
    }
    index = {"metadata": {"total_size": 1}, "weight_map": names}
    return {**without_weights(files), **shards, "model.safetensors.index.json": json.dumps(index).encode()}


def without_weights(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: body for name, body in files.items() if name != "model.safetensors"}


def shaken(files: dict[str, bytes]) -> dict[str, bytes]:
    """The same model with other weights: what a moved main holds."""
    weights = {name: tensor + 0.1 for name, tensor in _weights(files).items()}
    return {**files, "model.safetensors": save(weights, {"format": "pt"})}


def _weights(files: dict[str, bytes]) -> dict[str, torch.Tensor]:
    return load(files["model.safetensors"])


def wordpiece(folder: Path, kind: str) -> Path:
    """An encoder with the tokenizer of BERT: vocab.txt, and words that no special mark begins."""
    from transformers import AutoTokenizer

    make_encoder(folder, kind)
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{c}" for c in letters), *WORDS]
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").write_text("\n".join(dict.fromkeys(vocabulary)) + "\n")
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": true, "model_max_length": 64}')
    AutoTokenizer.from_pretrained(folder).save_pretrained(folder)
    return folder


def sentencepiece(folder: Path, kind: str = "deberta-v2") -> Path:
    """An encoder whose tokenizer is a model of sentencepiece alone, as that of DeBERTa v3 is."""
    import sentencepiece as spm

    make_encoder(folder, kind)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    text = folder / "text"
    text.write_text("\n".join([" ".join(WORDS)] * 20))
    ids = {"pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3, "bos_piece": "[CLS]", "eos_piece": "[SEP]"}
    pieces = {"pad_piece": "[PAD]", "unk_piece": "[UNK]", "hard_vocab_limit": False, "minloglevel": 2}
    spm.SentencePieceTrainer.train(input=str(text), model_prefix=str(folder / "spm"), vocab_size=90, **ids, **pieces)
    for name in ("text", "spm.vocab"):
        (folder / name).unlink()
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": false, "vocab_type": "spm"}')
    return folder


def tiktoken(folder: Path) -> Path:
    """A decoder whose tokenizer is a list of byte pairs alone, as tiktoken keeps it."""
    import base64

    make_decoder(folder, "llama")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    pairs = [bytes([at]) for at in range(256)] + [b"la", b"mp", b"lamp", b"re", b"red"]
    lines = [f"{base64.b64encode(pair).decode()} {rank}" for rank, pair in enumerate(pairs)]
    (folder / "tiktoken.model").write_text("\n".join(lines) + "\n")
    settings = {"tokenizer_class": "TokenizersBackend", "eos_token": "<|end|>", "extra_special_tokens": ["<|end|>"]}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def others(hub: Hub, folder: Path) -> None:
    """Repositories that are odd in one way each; what they would hold is a decoder, or an encoder where it matters."""
    llm, ce = contents(make_decoder(folder / "llm")), contents(make_encoder(folder / "ce"))
    tiny = hub.repository("org/tiny", shaken(shaken(llm)))
    tiny.push(shaken(llm), "next/big")
    tiny.push(llm, "v1")
    hub.repository("microsoft/deberta-v3-base", pickled(contents(sentencepiece(folder / "deberta")), old=False))
    hub.repository("org/tiktoken", contents(tiktoken(folder / "tiktoken")))
    crowd = ("consolidated.safetensors", "train.py", "checkpoint-500/model.safetensors", "checkpoint-500/optimizer.pt")
    hub.repository("org/crowded", beside(ce, (*crowd, *ONNX, "model.fp16.safetensors", "training_args.bin")))
    hub.repository("org/evil", {**without_weights(ce), "pytorch_model.bin": evil()})
    hub.repository("org/tensorflow", beside(without_weights(ce), ("flax_model.msgpack", "tf_model.h5")))
    whole = parts(ce)
    hub.repository("org/missing-part", {name: whole[name] for name in whole if "00002" not in name})
    hub.repository("org/torn", {**ce, "model.safetensors": ce["model.safetensors"][:-8]})
    hub.repository(
        "org/pointer", {**ce, "model.safetensors": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"}
    )
    bert = contents(make_encoder(folder / "bert", "bert"))
    hub.repository("org/wordless", {name: body for name, body in bert.items() if "tokenizer" not in name})
    base = {"base_model_name_or_path": "meta-llama/Llama-3.2-1B", "peft_type": "LORA"}
    hub.repository(
        "org/adapter", beside({"adapter_config.json": json.dumps(base).encode()}, ("adapter_model.safetensors",))
    )
    modules = [{"idx": 0, "name": "0", "path": "0_Transformer", "type": "sentence_transformers.models.Transformer"}]
    inner = {f"0_Transformer/{name}": body for name, body in ce.items()}
    hub.repository("org/sentences", {**inner, "modules.json": json.dumps(modules).encode()})
    hub.repository("org/tiny-gguf", beside({}, ("README.md", "tiny-q4_k_m.gguf", "tiny-q8_0.gguf")))
    weather(hub, llm)


def weather(hub: Hub, files: dict[str, bytes]) -> None:
    """Repositories that are barred, or that cannot be had at once."""
    hub.repository("org/private", files, private=True)
    hub.repository("org/disabled", files, disabled=True)
    hub.repository("org/new", files)
    hub.repository("org/busy", files, faults=[put_off(429, 0), put_off(429, 0)])
    hub.repository("org/tomorrow", files, faults=[put_off(429, 3600)])
    hub.repository("org/down", files, faults=[put_off(503, 0)] * 5)
    hub.repository("org/cut", shaken(shaken(shaken(files))), cuts=1)
    hub.repository("org/cut-off", shaken(shaken(shaken(shaken(files)))), cuts=99)


def put_off(status: int, seconds: int) -> Answer:
    return refused(status, "", "later", Retry_After=str(seconds))


class Bomb:
    """What a pickle can hold: a call, made as it is read."""

    def __reduce__(self):
        return (print, ("this ran",))


def evil() -> bytes:
    held = io.BytesIO()
    torch.save({"weight": Bomb()}, held)
    return held.getvalue()
