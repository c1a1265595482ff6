"""A backbone's folder: what of it counts, what of it is read, and what a person reads where it cannot be."""

import hashlib
import json
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_sweep import record, sweep
from transformers import AutoModel

from relevance.cell_id import fingerprint
from relevance.config import Config, ModelConfig
from relevance.errors import UserError
from relevance.model import converted
from relevance.model.backbone import folder_digest, resolve_folder, split_revision
from tests.hub.repositories import beside, evil, parts, without_weights
from tests.hub.repositories import pickled as unsafe
from tests.hub.server import contents


def written(folder: Path, files: dict[str, bytes]) -> Path:
    for name, body in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(body)
    return folder


def test_the_digest_is_of_what_numbers_depend_on_and_of_no_place(tmp_path, backbones):
    files = contents(backbones["ce"])
    plain, other = folder_digest(backbones["ce"]), written(tmp_path / "other", files)
    crowd = (
        "README.md",
        "consolidated.safetensors",
        "optimizer.pt",
        "onnx/model.onnx",
        "train.py",
        "trainer_state.json",
    )
    assert folder_digest(written(tmp_path / "clone", beside(files, crowd))) == plain
    assert folder_digest(tmp_path / "clone", code=True) != plain
    (other / "tokenizer.json").write_bytes(files["tokenizer.json"] + b"\n")
    assert folder_digest(other) != plain


def test_a_file_is_hashed_once_by_a_process_and_again_when_it_changes(tmp_path, backbones, monkeypatch):
    folder = written(tmp_path, contents(backbones["llm"]))
    first, read = folder_digest(folder), []
    whole = hashlib.file_digest
    monkeypatch.setattr(
        hashlib, "file_digest", lambda file, kind: (read.append(Path(file.name).name), whole(file, kind))[1]
    )
    assert folder_digest(folder) == first
    assert read == []
    with (folder / "config.json").open("a") as file:
        file.write("\n")
    assert folder_digest(folder) != first
    assert read == ["config.json"]


def test_pickled_weights_become_the_same_weights_as_safetensors(tmp_path, backbones):
    source = written(tmp_path / "bert", unsafe(contents(backbones["bert"])))
    found = resolve_folder(str(source), outputs=tmp_path / "outputs")
    assert found.parent == tmp_path / "outputs" / "backbones"
    assert {file.name for file in found.iterdir()} >= {"config.json", "model.safetensors", "tokenizer.json"}
    assert folder_digest(found) == folder_digest(source)
    assert resolve_folder(str(found)) == found
    left, right = (AutoModel.from_pretrained(path).state_dict() for path in (found, backbones["bert"]))
    assert all(torch.equal(left[name], right[name]) for name in right)


def test_pickled_weights_in_parts_stay_in_parts(tmp_path, backbones):
    from safetensors.torch import load

    files = parts(contents(backbones["ce"]), 2)
    for name in [name for name in files if name.endswith(".safetensors")]:
        torch.save(
            load(files.pop(name)), tmp_path / name.replace("model-", "pytorch_model-").replace("safetensors", "bin")
        )
    index = json.loads(files.pop("model.safetensors.index.json"))
    names = {
        key: part.replace("model-", "pytorch_model-").replace("safetensors", "bin")
        for key, part in index["weight_map"].items()
    }
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps({**index, "weight_map": names}))
    found = resolve_folder(str(written(tmp_path, files)), outputs=tmp_path / "outputs")
    left, right = (AutoModel.from_pretrained(path).state_dict() for path in (found, backbones["ce"]))
    assert all(torch.equal(left[name], right[name]) for name in right)


def test_of_two_that_want_them_converted_one_converts(tmp_path, backbones, monkeypatch):
    source, made, convert = (
        written(tmp_path / "bert", unsafe(contents(backbones["bert"]))),
        [],
        converted._convert_pickled,
    )
    monkeypatch.setattr(converted, "_convert_pickled", lambda *given: (made.append(given), convert(*given)))
    wanting = [
        threading.Thread(target=resolve_folder, args=(str(source), None, tmp_path / "outputs")) for _ in range(3)
    ]
    for thread in wanting:
        thread.start()
    for thread in wanting:
        thread.join()
    assert len(made) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"pytorch_model.bin": evil()}, "holds more than tensors and is not read, for it could run anything"),
        ({"pytorch_model.bin": b"PK\x03\x04 half of it"}, "is no whole file of weights .*; fetch it again"),
        ({"adapter_model.safetensors": b""}, r"no weights that can be read \(there are: adapter_model.safetensors\)"),
        (
            {"model.safetensors": b"version https://git-lfs.github.com/spec/v1"},
            "is a pointer of Git LFS, .* git lfs pull",
        ),
        ({"model.safetensors": b"\x10"}, "model.safetensors is no whole safetensors file"),
        ({"model.safetensors.index.json": b"{"}, "model.safetensors.index.json is no JSON"),
    ],
)
def test_weights_that_cannot_be_read_are_named(tmp_path, backbones, capsys, changes, said):
    folder = written(tmp_path / "odd", {**without_weights(contents(backbones["ce"])), **changes})
    with pytest.raises(UserError, match=f"model.backbone={folder}: .*{said}") as error:
        resolve_folder(str(folder), outputs=tmp_path / "outputs")
    assert "\n" not in str(error.value)
    assert "this ran" not in capsys.readouterr().out
    assert not list(tmp_path.glob("outputs/backbones/*/"))


def test_a_folder_with_the_backbone_below_it_says_where(tmp_path, backbones):
    shutil.copytree(backbones["ce"], tmp_path / "0_Transformer")
    (tmp_path / "modules.json").write_text('[{"idx": 0, "path": "0_Transformer"}]')
    with pytest.raises(UserError, match=f"give model.backbone={tmp_path}/0_Transformer$"):
        resolve_folder(str(tmp_path))
    assert resolve_folder(f"{tmp_path}/0_Transformer")


def test_a_backbone_without_weights_refuses_its_own_cell_alone(place, tmp_path, backbones, capsys):
    lost = written(tmp_path / "lost", without_weights(contents(backbones["ce"])))
    bad = replace(place("ce", "mhp"), model=replace(place("ce").model, backbone=str(lost)))
    assert sweep(bad, place("ce")) == 1
    assert [cell.status for cell in record(bad).cells] == ["REFUSED", "FINISHED"]
    assert f"model.backbone={lost}: no weights that can be read; it needs" in capsys.readouterr().err


def test_a_revision_is_no_part_of_the_question_and_refused_where_there_is_none():
    one, other = (Config(model=ModelConfig(backbone="org/name", revision=sha)) for sha in ("1" * 40, "2" * 40))
    assert fingerprint(one, "d", "b") == fingerprint(other, "d", "b")
    with pytest.raises(UserError, match=r"only a hub id has revisions; leave model\.revision out"):
        split_revision(ModelConfig(backbone="/data/folder", revision="main"))
    with pytest.raises(UserError, match="names two revisions; leave one out"):
        split_revision(ModelConfig(backbone="org/name@v1", revision="main"))
    assert split_revision(ModelConfig(backbone="org/name@v1")) == ("org/name", "v1")


@pytest.mark.parametrize("path", ["{}/llm", "../backbones/llm", "llm/", "."])
def test_an_embedded_backbone_is_a_name_and_no_path(path):
    name = path.format(resolve_folder("embedded:llm").parent)
    with pytest.raises(UserError, match=r"no such embedded backbone \(there are: ce, llm"):
        resolve_folder(f"embedded:{name}")
