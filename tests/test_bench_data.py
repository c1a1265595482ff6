"""The benchmark of the data at the size of a test: every figure stands beside its peer, with a ratio."""

import sys

from tools.benchmarks import calls, data

SIZES = "judgements=900 items=300 types=110 queries=60 rows=2000 pairs=2000 plain=500".split()


def test_every_figure_has_a_peer_and_a_ratio(monkeypatch, capsys):
    monkeypatch.setattr(data, "child", calls.call)  # in this process instead of one each
    monkeypatch.setattr(sys, "argv", ["data.py", *SIZES, "repeats=1"])
    data.run()
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [line[:44].strip() for line in lines] == [
        "derive from 900 judgements",
        "validate 2,000 rows, process",
        "validate 2,000 rows, call",
        "token ids of 2,000 pairs",
        "first training batch of 2,000 rows",
    ]
    assert all(float(line[44:].split()[4]) > 0 and line.split()[-1] for line in lines)


def test_a_line_holds_medians_and_their_ratio():
    costs = [data.Cost(seconds, memory) for seconds, memory in ((1.0, 0.1), (9.0, 0.3), (2.0, 0.2))]
    figure = data.Figure("ours", "theirs", costs, [data.Cost(4.0, 0.5)] * 3)
    assert figure.line().split() == ["ours", "2.00", "0.20", "4.00", "0.50", "0.50", "theirs"]
