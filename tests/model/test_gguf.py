"""A backbone in a GGUF file is the backbone it was made from, wherever it is converted."""

import json
import shutil
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from gguf import MODEL_ARCH, GGMLQuantizationType, GGUFWriter, dequantize, get_tensor_name_map, quantize
from networks import awake
from transformers import AutoModel, AutoTokenizer, LlamaConfig

from relevance.config import Config, Family, LoraConfig, ModelConfig
from relevance.config_io import ConfigFile
from relevance.data.tokens import pair_frame
from relevance.errors import UserError
from relevance.export.folder import write_adapter
from relevance.model import converted
from relevance.model.backbone import backbone_folder, body_parameters, folder_digest, resolve_folder
from relevance.model.build import build_network
from relevance.model.store import load_network, save_network

Q8 = GGMLQuantizationType.Q8_0


@pytest.fixture(scope="module")
def llama(backbones, tmp_path_factory) -> Path:
    """A folder with a tiny Llama; its tokenizer is that of the other tiny decoders."""
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(backbones["llm"])
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "max_position_embeddings": 64}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1}
    folder = tmp_path_factory.mktemp("llama")
    AutoModel.from_config(LlamaConfig(vocab_size=len(tokenizer), **sizes, **heads)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def packed(source: Path, file: Path, kind: str = "llama", pre: str = "default", less: str = "-") -> AutoModel:
    """Write the decoder of a folder to a GGUF file, in Q8_0 what can be; gives it as it reads out of there again."""
    model, writer = AutoModel.from_pretrained(source, dtype=torch.float32), GGUFWriter(file, kind)
    config, names = model.config, get_tensor_name_map(MODEL_ARCH.LLAMA, model.config.num_hidden_layers)
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    _add_tokenizer(writer, json.loads((source / "tokenizer.json").read_text())["model"], pre)
    for name, weight in model.state_dict().items():
        at = names.get_name(f"model.{name}", (".weight",))
        if weight.ndim == 2 and weight.shape[1] % 32 == 0:
            blocks = quantize(weight.numpy(), Q8)
            writer.add_tensor(at, blocks, raw_dtype=Q8)
            weight.copy_(torch.from_numpy(dequantize(blocks, Q8)))
        elif less not in name:
            heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}.get(
                name.split(".")[-2]
            )
            writer.add_tensor(at, turned(weight, heads).numpy() if heads else weight.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return model


def turned(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """Rows in the order of llama.cpp, whose rotary embeddings turn neighbours."""
    return weight.reshape(heads, 2, -1, weight.shape[1]).transpose(1, 2).reshape(weight.shape).contiguous()


def _add_tokenizer(writer: GGUFWriter, bpe: dict, pre: str) -> None:
    vocab = bpe["vocab"]
    tokens = sorted(vocab, key=vocab.get)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in ("<pad>", "<eos>") else 1 for token in tokens])
    writer.add_token_merges([" ".join(merge) for merge in bpe["merges"]])
    writer.add_eos_token_id(vocab["<eos>"])
    writer.add_pad_token_id(vocab["<pad>"])


def cell(folder: Path | str, outputs: Path) -> Config:
    lora = LoraConfig(r=4, targets="all-linear")
    model = ModelConfig("llm", Family.llm, str(folder), lora=lora, max_length=64)
    return Config(model=model, outputs=str(outputs))


@torch.no_grad()
def states(network, tokenizer) -> torch.Tensor:
    batch = tokenizer(["red lamp", "usb cable 10"], return_tensors="pt", padding=True)
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    return network.eval().states(inputs, [(0, 0, 2)])


@pytest.fixture
def file(llama, tmp_path) -> Path:
    packed(llama, tmp_path / "tiny.Q8_0.gguf")
    return tmp_path / "tiny.Q8_0.gguf"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_it_gives_the_states_and_ids_of_what_it_was_made_from(llama, tmp_path):
    plain, file = tmp_path / "plain", tmp_path / "tiny.gguf"
    packed(llama, file).to(torch.bfloat16).save_pretrained(plain)
    source = AutoTokenizer.from_pretrained(llama)
    source.save_pretrained(plain)
    assert torch.equal(states(*build_network(cell(file, tmp_path))), states(*build_network(cell(plain, tmp_path))))
    tokenizer = AutoTokenizer.from_pretrained(backbone_folder(cell(file, tmp_path)))
    for text in ("red lamp", "query item:\nusb  cable 10", " é 漢字 <eos>"):
        assert tokenizer(text)["input_ids"] == source(text)["input_ids"]
    assert (tokenizer.pad_token, tokenizer.eos_token, tokenizer.bos_token) == ("<pad>", "<eos>", None)
    assert pair_frame(tokenizer, pair=False) == pair_frame(source, pair=False)


def test_a_file_is_converted_once_and_its_digest_is_its_own(file, tmp_path, capsys):
    digest = sha256(file.read_bytes()).hexdigest()
    folder = resolve_folder(str(file), outputs=tmp_path)
    assert folder == tmp_path / "backbones" / digest[:16]
    said = capsys.readouterr().err
    assert f"model.backbone=tiny.Q8_0.gguf: converted to {folder}, " in said
    written = contents(folder)
    assert resolve_folder(str(tmp_path), outputs=tmp_path) == folder  # which holds that file alone
    assert capsys.readouterr().err == ""
    assert folder_digest(folder) == digest
    shutil.rmtree(folder)
    assert resolve_folder(str(file), outputs=tmp_path) == folder
    assert contents(folder) == written
    assert body_parameters(folder) == 2 * (16 * 16 + 2 * 16 * 8 + 16 * 16 + 3 * 16 * 32)


def test_what_was_changed_after_it_was_copied_has_a_digest_of_its_own(file, tmp_path):
    folder = resolve_folder(str(file), outputs=tmp_path)
    copy = shutil.copytree(folder, tmp_path / "mine")
    before = folder_digest(copy)
    (copy / "config.json").write_text("{}")
    assert len({before, folder_digest(copy), folder_digest(folder)}) == 3


def test_a_trained_adapter_finds_its_file_converted_anew(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = cell(file.name, Path("outputs"))
    network, tokenizer = build_network(config)
    save_network(awake(network), tokenizer, ConfigFile(config), {}, tmp_path / "model")
    write_adapter(network, config, "query_item", tmp_path / "adapter")
    for trunk in ("model/trunk", "adapter"):
        base = json.loads((tmp_path / trunk / "adapter_config.json").read_text())["base_model_name_or_path"]
        assert base == str(
            tmp_path / backbone_folder(config)
        )  # which peft can load, and a path to a GGUF file it could not
    shutil.rmtree("outputs")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    again, read = load_network(tmp_path / "model")
    assert read.model.backbone == str(file)
    assert torch.equal(states(again, tokenizer), states(network, tokenizer))


def test_digits_stand_alone_where_the_file_says_so(llama, tmp_path):
    """As llama.cpp splits text for SmolLM2: transformers takes its tokenizer for GPT-2's."""
    packed(llama, tmp_path / "digits.gguf", pre="smollm")
    tokenizer = AutoTokenizer.from_pretrained(resolve_folder(str(tmp_path / "digits.gguf"), outputs=tmp_path))
    split = tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str("a  12")
    assert [piece for piece, _ in split] == ["a", "ĠĠ", "1", "2"]


def test_a_split_that_transformers_does_not_know_is_said(llama, tmp_path, capsys):
    packed(llama, tmp_path / "odd.gguf", pre="bloom")
    resolve_folder(str(tmp_path / "odd.gguf"), outputs=tmp_path)
    assert "odd.gguf: its tokenizer splits text by 'bloom', which transformers does not know" in capsys.readouterr().err


def test_which_file_is_meant_is_never_guessed(llama, file, tmp_path):
    shutil.copy(file, tmp_path / "tiny.Q4_0.gguf")
    said = r"holds 2 GGUF files \(tiny\.Q4_0\.gguf, tiny\.Q8_0\.gguf\); give one of them$"
    with pytest.raises(UserError, match=said):
        resolve_folder(str(tmp_path), outputs=tmp_path)
    with pytest.raises(UserError, match=r"model\.backbone=absent\.gguf: no such file$"):
        resolve_folder("absent.gguf", outputs=tmp_path)
    beside = shutil.copytree(llama, tmp_path / "beside")
    shutil.copy(file, beside)
    assert resolve_folder(str(beside)) == beside  # its own weights come first


def test_what_lies_beside_a_file_changes_nothing_of_it(file, backbones, tmp_path):
    alone = resolve_folder(str(tmp_path), outputs=tmp_path / "a")
    shutil.copy(backbones["ce"] / "tokenizer.json", tmp_path)  # as repositories of GGUF files have it
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    folder = resolve_folder(str(tmp_path), outputs=tmp_path / "b")
    assert contents(folder) == contents(alone)


@pytest.mark.parametrize("cut", [-3000, 3000, 0])
def test_a_torn_file_is_refused(file, tmp_path, cut):
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(UserError, match=rf"^model\.backbone={file}: is no whole GGUF file \(.+\); fetch it again$"):
        resolve_folder(str(file), outputs=tmp_path)
    assert not list((tmp_path / "backbones").glob("*/"))


def test_a_file_of_no_use_is_refused(llama, tmp_path, monkeypatch):
    packed(llama, tmp_path / "bert.gguf", kind="bert")
    said = r"transformers reads no bert as a decoder from GGUF \(.+\); give the folder or hub id that the file was made"
    with pytest.raises(UserError, match=said):
        resolve_folder(str(tmp_path / "bert.gguf"), outputs=tmp_path)
    packed(llama, tmp_path / "part.gguf", less="layers.1.input")
    said = r"lack \['model\.layers\.1\.input_layernorm\.weight'\] \(1 in all\); a file in parts is joined "
    with pytest.raises(UserError, match=said):
        resolve_folder(str(tmp_path / "part.gguf"), outputs=tmp_path)
    add = GGUFWriter.add_feed_forward_length
    monkeypatch.setattr(GGUFWriter, "add_feed_forward_length", lambda writer, width: add(writer, 2 * width))
    packed(llama, tmp_path / "odd.gguf")
    said = r"transformers takes \['model\.layers\.0\.mlp\.down_proj\.weight', .+\] \(6 in all\) for other shapes than "
    with pytest.raises(UserError, match=said):
        resolve_folder(str(tmp_path / "odd.gguf"), outputs=tmp_path)


def test_without_its_reader_it_says_what_to_install(file, tmp_path, monkeypatch):
    monkeypatch.setattr(converted, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"GGUF files are read with the package gguf; pip install gguf$"):
        resolve_folder(str(file), outputs=tmp_path)


def test_a_folder_that_cannot_be_made_is_named(file):
    with pytest.raises(UserError, match=r"^/proc/nowhere/backbones: a backbone is to be converted there \(.*\); let"):
        resolve_folder(str(file), outputs=Path("/proc/nowhere"))


def test_a_folder_converted_under_the_earlier_mark_keeps_its_digest(file, tmp_path):
    folder = resolve_folder(str(file), outputs=tmp_path)
    expected = folder_digest(folder)
    (folder / converted.MARK).rename(folder / "gguf.sha256")
    assert (
        folder_digest(resolve_folder(str(file), outputs=tmp_path)) == expected == sha256(file.read_bytes()).hexdigest()
    )
