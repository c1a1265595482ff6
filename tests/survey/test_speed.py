"""Real sizes: the whole way at a small shape on the CPU; the command itself wants a GPU and says so."""

import re
import sys

import pytest
import torch

from relevance.cli import run_command
from relevance.config import Family
from tools.survey import architectures
from tools.survey.architectures import DECODERS, SIZE, Shape
from tools.survey.measure import products
from tools.survey.page import sections
from tools.survey.speed import Options, lines, section, speed


def test_a_shape_is_trained_counted_and_set_beside_the_devices_own_rate(monkeypatch):
    monkeypatch.setitem(architectures.SHAPES, "tiny", Shape("qwen3", Family.llm, {**SIZE, **DECODERS["qwen3"]}))
    (line,) = lines(Options(["tiny"], ["mhp"], steps=2), "cpu", rate=1e6)
    assert line[:3] == ["tiny", "llm", "mhp"]
    trained, total = (int(n.replace(",", "")) for n in line[3].split(" / "))
    assert 0 < trained < total
    assert int(line[4].replace(",", "")) > 0
    assert int(line[7].rstrip("%")) > 100  # of a million operations a second
    text = section("CPU", products("cpu", side=64), [line])
    assert re.search(r"on one CPU, whose best of its products of bfloat16 matrices ran at [\d.]+ TFLOP/s", text)
    assert "| tiny " in text


def test_the_device_does_as_many_operations_as_a_product_has(monkeypatch):
    """Two a multiply-add: 2 · 64³ in a time that a stopped clock would make infinite."""
    ticks = iter(range(1000))
    monkeypatch.setattr("tools.survey.measure.time.perf_counter", lambda: next(ticks))
    assert products("cpu", side=64) == 2 * 64**3


def test_both_parts_of_the_file_are_kept_by_the_other(tmp_path):
    path = tmp_path / "backbones.md"
    assert sections(path) == ("", "")
    path.write_text("# Backbones\n\n## Real sizes\n\n| kept |\n")
    assert sections(path) == ("# Backbones\n\n", "## Real sizes\n\n| kept |\n")


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("steps=200", "no CUDA device: real sizes are timed on one"),
        ("shapes=[qwen]", "available: Qwen3-0.6B, ModernBERT-large"),
        ("routings=[hm]", "available: none, soft_prompt, prefix"),
        ("steps=0", "1 or more"),
    ],
)
def test_what_cannot_be_measured_is_refused(monkeypatch, capsys, word, said):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["tools.survey.speed", word])
    with pytest.raises(SystemExit) as end:
        run_command(speed)
    assert end.value.code == 2
    assert said in capsys.readouterr().err
