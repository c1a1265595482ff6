"""The benchmark of training: counts that do not scatter, and ratios of runs taken in turn."""

import sys

import torch

from tools.benchmarks import training
from tools.benchmarks.counted import Counter


def test_reads_casts_and_operations_are_counted():
    weight, other = torch.nn.Parameter(torch.ones(4, 4)), torch.ones(4, 4)
    with Counter([weight]) as counter:
        moved = weight.to(torch.bfloat16) @ other.to(torch.bfloat16)
        moved.view(16)  # a view moves nothing
        if moved.sum() > 0:
            other[other > 0].tolist()
    counts = counter.of(1)
    assert (counts.reads, counts.cast) == (2, 64)
    assert counts.operations >= 5


def test_ours_are_counted_and_measured_beside_each_other(monkeypatch, capsys):
    tiny = {"hidden_size": 24, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2}
    monkeypatch.setattr(training, "WARM", 1)
    monkeypatch.setattr(training, "_sizes", lambda sizes, options: tiny)
    monkeypatch.setattr(
        training,
        "contestants",
        lambda shape, options, folder: [
            training.Contestant(shape, name, training._ours(training._build(shape, name, options, folder)))
            for name in options.routings
        ],
    )  # without the peers, which no test installs
    words = "shapes=[MiniLM-L6] routings=[mhp_shared,mhp] rows=56 steps=1 pairs=2".split()
    monkeypatch.setattr(sys, "argv", ["training.py", *words])
    training.run()
    lines = capsys.readouterr().out.splitlines()
    assert [line[:30].strip() for line in lines[1:3]] == ["MiniLM-L6 mhp_shared", "MiniLM-L6 mhp"]
    assert lines[-1].startswith("MiniLM-L6 mhp_shared ÷ mhp ")
    assert "of 2 " in lines[-1]
