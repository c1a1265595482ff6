"""A cell as plain folders: transformers or peft read back what the cell computes, or the command says why not."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import torch
from peft import AutoPeftModelForSequenceClassification
from small_sweep import RIVALS, ROUTINGS
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer, pipeline

from relevance import seal
from relevance.config import Attention, Family, Pooling, PrivateConfig, PrivateKind, RoutingConfig
from relevance.config_io import ConfigFile
from relevance.data.tokens import Reading, Template
from relevance.errors import UserError
from relevance.export.__main__ import export as command
from relevance.export.__main__ import task_folders
from relevance.export.folder import export, pair_tokenizer
from relevance.model.build import build_network
from relevance.model.store import save_network
from relevance.predict.scorer import Scorer
from relevance.tasks import LABELS, TASK_NAMES
from tools.survey.architectures import ARCHITECTURES, SIZE, made


@pytest.fixture
def model_of(tmp_path):
    """The model folder of a cell whose weights have all moved, as training moves them."""

    def make(config) -> Path:
        torch.manual_seed(0)
        network, tokenizer = build_network(config)
        with torch.no_grad():
            for parameter in network.parameters():
                if parameter.requires_grad:
                    parameter.add_(0.2 * torch.randn_like(parameter))
        template = Template(config.routing.prefix, config.model.family is Family.ce, config.model.max_length)
        save_network(
            network, tokenizer, ConfigFile(config), Reading(template, TASK_NAMES).written(), tmp_path / "model"
        )
        return tmp_path / "model"

    return make


def routing(kind: str) -> RoutingConfig:
    return RoutingConfig("mhp", heads=True, private=PrivateConfig(PrivateKind(kind), 1))


@pytest.mark.parametrize(
    ("model", "kind", "forms"),
    [
        ("llm", "prefix", ("merged", "adapter")),
        ("llm", "mh", ("merged", "adapter")),
        ("llm", "inserted", ("merged",)),
        ("llm", "top", ("merged",)),
        ("llm", "lora", ("merged", "adapter")),
        ("ce", "shared", ("merged",)),
        ("ce", "prefix", ("merged",)),
        ("bert", "top", ("merged",)),
        ("gpt2", "inserted", ("merged",)),
        ("llm", "mtl_lora", ("merged", "adapter")),
    ],
)
def test_a_folder_gives_the_logits_of_the_cell(place, model_of, tmp_path, model, kind, forms):
    config = place(model)
    known = {**ROUTINGS, **RIVALS}
    folder = model_of(replace(config, routing=known[kind] if kind in known else routing(kind)))
    for form in forms:
        difference = export(folder, "item_type", form, tmp_path / form)
        assert difference <= 1e-4
    assert not list(tmp_path.glob("*.part"))
    _read_as_a_stranger(tmp_path / "merged", folder)


@pytest.mark.parametrize(
    ("model", "rank", "kind", "forms"),
    [
        ("ce", 4, "mh", ("merged", "adapter")),
        ("ce", 4, "lora", ("merged", "adapter")),
        ("ce", 4, "inserted", ("merged",)),
        ("bert", 4, "prefix", ("merged", "adapter")),
        ("bert", 4, "top", ("merged",)),
        ("llm", 0, "mh", ("merged",)),
        ("llm", 0, "shared", ("merged",)),
    ],
)
def test_a_family_in_its_other_tuning_is_exported_likewise(place, model_of, tmp_path, model, rank, kind, forms):
    config = place(model)
    chosen = ROUTINGS[kind] if kind in ROUTINGS else routing(kind)
    tuned = replace(config.model, lora=replace(config.model.lora, r=rank))
    folder = model_of(replace(config, routing=chosen, model=tuned))
    for form in forms:
        assert export(folder, "item_type", form, tmp_path / form) <= 1e-4
    if rank == 0:
        with pytest.raises(UserError, match="form=adapter: this cell of model=llm trained none"):
            export(folder, "item_type", "adapter", tmp_path / "adapter")


@pytest.mark.parametrize(
    ("model", "reading", "kind", "merged", "adapter"),
    [
        ("llm", {"attention": "bidirectional"}, "mh", "", "does not say model.attention=bidirectional"),
        ("llm", {"attention": "bidirectional"}, "inserted", "", "private layers"),
        ("llm", {"attention": "bidirectional", "pooling": "mean"}, "mh", "of qwen3 reads the last token", "of its ba"),
        ("llm", {"pooling": "mean"}, "mh", "model.pooling=mean: transformers' own classifier of qwen3", "pooling=mean"),
        ("ce", {"pooling": "mean"}, "mh", "", "trained none"),
        ("ce", {"pooling": "first"}, "top", "", "trained none"),
        ("ce", {"pooling": "last"}, "mh", "of modernbert reads other states", "trained none"),
        ("bert", {"pooling": "first"}, "mh", "", "trained none"),
        ("bert", {"pooling": "mean"}, "mh", "of bert reads other states", "trained none"),
    ],
)
def test_a_mask_and_a_pooling_are_in_the_folder_or_it_is_refused(
    place, model_of, tmp_path, model, reading, kind, merged, adapter
):
    config = place(model)
    words = {name: {"attention": Attention, "pooling": Pooling}[name](value) for name, value in reading.items()}
    chosen = ROUTINGS[kind] if kind in ROUTINGS else routing(kind)
    folder = model_of(replace(config, routing=chosen, model=replace(config.model, **words)))
    with pytest.raises(UserError, match=adapter):
        export(folder, "item_type", "adapter", tmp_path / "adapter")
    if merged:
        with pytest.raises(UserError, match=merged):
            export(folder, "item_type", "merged", tmp_path / "merged")
    else:
        assert export(folder, "item_type", "merged", tmp_path / "merged") <= 1e-4


def _read_as_a_stranger(exported: Path, cell: Path) -> None:
    """With transformers and template.json alone, against the cell's own scorer on a pair of no export's examples."""
    how = json.loads((exported / "template.json").read_text())
    tokenizer = AutoTokenizer.from_pretrained(exported)

    def ids(text: str) -> list[int]:
        return tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]

    assert how["task"] == "item_type"
    whole = [*how["before"], *how["prefix"], *ids("red lamp usb"), *how["between"], *ids("lamp"), *how["after"]]
    with torch.no_grad():
        logits = AutoModelForSequenceClassification.from_pretrained(exported)(torch.tensor([whole])).logits
    table = pa.table({"task": ["item_type"], "left": ["red lamp usb"], "right": ["lamp"]})
    assert np.allclose(logits.softmax(-1).numpy(), Scorer(cell).probabilities(table), atol=1e-5)


@pytest.mark.parametrize(("model", "form"), [("llm", "merged"), ("llm", "adapter"), ("ce", "merged")])
def test_learnt_vectors_are_in_no_plain_folder(place, model_of, tmp_path, model, form):
    folder = model_of(replace(place(model), routing=RIVALS["soft_prompt"]))
    with pytest.raises(UserError, match=r"learnt vectors in front .* no plain folder .* use relevance\.predict"):
        export(folder, "item_type", form, tmp_path / form)
    assert not (tmp_path / form).exists()


LONG = "red lamp usb steel cable " * 30
TOO_LONG = [(LONG, "lamp"), ("lamp", LONG), (f"{LONG} plate", LONG), (LONG, f"{LONG} plate"), (LONG, LONG)]
STRANGE = [("usb", "red lamp"), ("lamp [SEP] <eos> <pad>", "[CLS] <eos> lamp"), (" red  lamp ", "\tÜber 東京\n")]


@pytest.mark.parametrize("model", ["llm", "gpt2", "ce", "bert"])
@pytest.mark.parametrize("named", ["none", "prefix", "mh"])
def test_the_tokenizer_of_a_folder_makes_the_cells_own_input(place, model_of, tmp_path, model, named):
    """Of any pair: sentence-transformers and pipelines know no template.json."""
    config = place(model)
    chosen = ROUTINGS[named] if named in ROUTINGS else RoutingConfig("none")
    folder = model_of(replace(config, routing=chosen))
    export(folder, "item_type", "merged", tmp_path / "out")
    pairs = [*TOO_LONG, *STRANGE]
    table = pa.table(
        {"task": ["item_type"] * len(pairs), "left": [a for a, _ in pairs], "right": [b for _, b in pairs]}
    )
    classify = pipeline("text-classification", model=str(tmp_path / "out"), device="cpu")
    asked = [{"text": one, "text_pair": other} for one, other in pairs]
    answers = classify(asked, truncation=True, top_k=None, batch_size=3)
    probabilities = [[{row["label"]: row["score"] for row in rows}[word] for word in LABELS] for rows in answers]
    assert np.allclose(probabilities, Scorer(folder).probabilities(table), atol=1e-5)


def test_a_folder_whose_tokenizer_makes_another_input_is_refused(place, model_of, tmp_path):
    """Of a cell that cut pairs as no tokenizer does, and of a tokenizer that no tokenizer.json holds."""
    folder = model_of(place("bert", "mh"))
    told = json.loads((folder / "template.json").read_text())
    (folder / "template.json").write_text(json.dumps({**told, "odd_to_longer": False}))
    seal.write(folder, "model")
    with pytest.raises(UserError, match=r"truncation=True\) gives other ids .* cells before numerics 3 cut two long"):
        export(folder, "item_type", "merged", tmp_path / "written")
    assert not list(tmp_path.glob("written*"))
    with pytest.raises(UserError, match=r"without a tokenizer\.json"):
        pair_tokenizer(SimpleNamespace(is_fast=False), Template(False, False, 64), "item_type")


READERS = {"merged": AutoModelForSequenceClassification, "adapter": AutoPeftModelForSequenceClassification}
READ = """
import json, sys
import torch
from peft import AutoPeftModelForSequenceClassification
from transformers import AutoModelForSequenceClassification

for folder in sys.argv[1:]:
    how = json.load(open(f"{folder}/template.json"))
    model = eval(how["load"]).eval()
    with torch.no_grad():
        answers = [model(torch.tensor([one["input_ids"]])).logits[0] for one in how["examples"]]
    print(max(float((a - torch.tensor(one["logits"])).abs().max()) for a, one in zip(answers, how["examples"])))
"""


def test_the_load_line_gives_the_examples_whatever_the_backbones_weights_are_kept_in(
    place, model_of, tmp_path, backbones
):
    """Left to itself, transformers takes the dtype of the checkpoint, and small decoders come in bfloat16."""
    base = AutoModel.from_pretrained(shutil.copytree(backbones["llm"], tmp_path / "rounded"))
    base.to(torch.bfloat16).save_pretrained(tmp_path / "rounded")
    config = place("llm", "mh")
    folder = model_of(replace(config, model=replace(config.model, backbone=str(tmp_path / "rounded"))))
    forms = [str(tmp_path / form) for form in ("adapter", "merged")]
    for form in forms:
        export(folder, "item_type", Path(form).name, Path(form))
    done = subprocess.run([sys.executable, "-c", READ, *forms], capture_output=True, text=True, check=True)
    assert [float(line) < 1e-5 for line in done.stdout.split()] == [True, True]


@pytest.mark.parametrize(
    ("model", "form", "precision", "how"),
    [
        (
            *("llm", "adapter", "bf16-mixed"),
            "loaded with dtype=torch.bfloat16 and under torch.autocast(model.device.type, torch.bfloat16)",
        ),
        ("ce", "merged", "bf16-mixed", "under torch.autocast(model.device.type, torch.bfloat16)"),
        ("ce", "merged", "bf16-true", "loaded with dtype=torch.bfloat16"),
    ],
)
def test_the_template_says_how_to_get_the_hidden_states_of_a_cell_in_bfloat16(
    place, model_of, tmp_path, model, form, precision, how
):
    config = place(model, "mh")
    cell = model_of(replace(config, trainer=replace(config.trainer, precision=precision)))
    export(cell, "item_type", form, tmp_path / "out")
    told = json.loads((tmp_path / "out" / "template.json").read_text())
    assert told["precision"] == (
        f"the cell scored in {precision}, the trunk {how}, the head in float32; the logits here are float32 throughout"
    )
    mixed, reader = precision == "bf16-mixed", READERS[form]
    read = reader.from_pretrained(
        tmp_path / "out", dtype=torch.bfloat16 if "dtype=" in how else torch.float32, num_labels=3
    )
    trunk = read.eval().base_model.model.model if form == "adapter" else read.eval().base_model
    scorer = Scorer(cell)
    for example in told["examples"]:
        inputs = {"input_ids": torch.tensor([example["input_ids"]])}
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            assert torch.equal(trunk(**inputs).last_hidden_state, scorer.network.states(inputs, [(4, 0, 1)]))


@pytest.mark.parametrize(
    ("changes", "kind"), [({"use_dora": True}, "mh"), ({"use_rslora": True}, "mh"), ({}, "lora"), ({}, "inserted")]
)
def test_what_adapts_a_rounded_backbone_is_merged_in_float32(place, model_of, tmp_path, changes, kind):
    config = place("llm")
    half = replace(
        config,
        routing=ROUTINGS[kind] if kind in ROUTINGS else routing(kind),
        model=replace(config.model, lora=replace(config.model.lora, **changes)),
        trainer=replace(config.trainer, precision="bf16-true"),
    )
    assert export(model_of(half), "item_type", "merged", tmp_path / "out") <= 1e-4
    said = json.loads((tmp_path / "out" / "template.json").read_text())["precision"]
    assert said.startswith("the cell scored in bf16-true, adapters not merged; the logits here are float32")


@pytest.mark.parametrize("kind", ["none", "inserted", "top", "lora"])
def test_a_decoder_inside_a_model_of_images_is_exported(place, model_of, tmp_path, kind):
    text = {**SIZE, **ARCHITECTURES["gemma3_text"], "vocab_size": 4096}
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    backbone = made("gemma3", {"text_config": text, "vision_config": vision}, tmp_path / "gemma3")
    config = place("llm")
    chosen = RoutingConfig("mh", heads=True) if kind == "none" else routing(kind)
    model = replace(config.model, backbone=str(backbone))
    folder = model_of(replace(config, model=model, routing=chosen))
    assert export(folder, "item_type", "merged", tmp_path / "merged") <= 1e-4


def test_a_pad_token_that_is_the_end_token_gives_way_to_one_of_its_own(place, model_of, tmp_path, backbones):
    """A reader's transformers finds the last real token by the pad id: every text ends in the end token."""
    shutil.copytree(backbones["gpt2"], tmp_path / "no-pad")
    told = tmp_path / "no-pad" / "tokenizer_config.json"
    told.write_text(json.dumps({k: v for k, v in json.loads(told.read_text()).items() if k != "pad_token"}))
    config = place("gpt2")
    folder = model_of(replace(config, model=replace(config.model, backbone=str(tmp_path / "no-pad"))))
    assert export(folder, "item_type", "merged", tmp_path / "merged") <= 1e-4
    assert export(folder, "item_type", "adapter", tmp_path / "adapter") <= 1e-4
    for form in ("merged", "adapter"):
        tokenizer = AutoTokenizer.from_pretrained(tmp_path / form)
        assert tokenizer.pad_token_id != tokenizer.eos_token_id
    _read_as_a_stranger(tmp_path / "merged", folder)


def test_a_backbone_that_reads_segments_is_exported_with_them(place, model_of, tmp_path, backbones):
    shutil.copytree(backbones["bert"], tmp_path / "segments")
    told = tmp_path / "segments" / "tokenizer_config.json"
    names = ["input_ids", "token_type_ids", "attention_mask"]
    told.write_text(json.dumps({**json.loads(told.read_text()), "model_input_names": names}))
    config = place("bert")
    folder = model_of(replace(config, model=replace(config.model, backbone=str(tmp_path / "segments"))))
    assert export(folder, "item_type", "merged", tmp_path / "out") <= 1e-4
    how = json.loads((tmp_path / "out" / "template.json").read_text())
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    for example in how["examples"]:
        read = {name: torch.tensor([example[name]]) for name in ("input_ids", "token_type_ids")}
        with torch.no_grad():
            assert np.allclose(model(**read).logits[0].numpy(), example["logits"], atol=1e-5)
            assert not np.allclose(model(read["input_ids"]).logits[0].numpy(), example["logits"], atol=1e-5)
        at = example["token_type_ids"].index(1)
        assert example["input_ids"][:at][-len(how["between"]) :] == how["between"]
        assert set(example["token_type_ids"][at:]) == {1}


def trained_on(folder: Path, *tasks: str) -> Path:
    """The same folder, of a cell that saw no other tasks."""
    template = Reading(Reading.of(folder).template, tasks)
    (folder / "template.json").write_text(json.dumps(template.written()))
    seal.write(folder, "model")
    return folder


def test_a_head_that_was_never_trained_is_not_exported(place, model_of, tmp_path, capsys):
    folder = trained_on(model_of(place("ce", "mh")), "query_item", "type_type")
    with pytest.raises(UserError, match="task=item_type: its head was never trained; this cell knows query_item, type"):
        export(folder, "item_type", "merged", tmp_path / "out")
    assert list(task_folders(folder, "all", tmp_path / "out")) == ["query_item", "type_type"]
    assert "not exported: query_query, item_item, query_type, item_type" in capsys.readouterr().err
    assert task_folders(folder, "query_item", tmp_path / "out") == {"query_item": tmp_path / "out"}


def test_a_shared_head_serves_a_task_it_never_saw(place, model_of, tmp_path):
    folder = trained_on(model_of(place("ce", "prefix")), "query_item")
    assert export(folder, "item_type", "merged", tmp_path / "out") <= 1e-4


def test_an_adapter_on_a_backbone_that_was_rounded_is_refused(place, model_of, tmp_path):
    config = place("llm", "mh")
    folder = model_of(replace(config, trainer=replace(config.trainer, precision="bf16-true")))
    with pytest.raises(UserError, match="precision=bf16-true rounded the backbone of this one; use form=merged"):
        export(folder, "item_type", "adapter", tmp_path / "out")
    assert export(folder, "item_type", "merged", tmp_path / "out") <= 1e-4


@pytest.mark.parametrize(
    ("model", "kind", "form", "said"),
    [
        ("bert", "inserted", "merged", "gate .* of post-norm blocks is no ordinary block"),
        ("llm", "inserted", "adapter", "kind=inserted are no adapter; use form=merged"),
        ("ce", "top", "adapter", "trained none; use form=merged"),
    ],
)
def test_what_no_folder_can_hold_is_refused_and_leaves_nothing(place, model_of, tmp_path, model, kind, form, said):
    folder = model_of(replace(place(model), routing=routing(kind)))
    with pytest.raises(UserError, match=said):
        export(folder, "item_type", form, tmp_path / "out")
    assert not list(tmp_path.glob("out.*"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "cell and output missing"),
        (["cell=a", "output=b", "form=onnx"], "use merged or adapter"),
        (["cell=a", "output=b", "task=query"], "use all or one of query_item"),
        (["cell=a", "output=."], "is there already; give a new folder"),
    ],
)
def test_a_wrong_word_is_refused_before_anything_is_loaded(words, said, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["export", *words])
    with pytest.raises(UserError, match=said):
        command()
