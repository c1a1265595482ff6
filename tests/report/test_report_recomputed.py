"""The tables once more, from the stored predictions, with scikit-learn and statsmodels alone."""

import csv
import io

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    cohen_kappa_score,
    f1_score,
    mean_absolute_error,
    ndcg_score,
    recall_score,
)
from statsmodels.stats.multitest import multipletests

from relevance import predictions
from relevance.report.files import cells_csv, comparisons_csv
from relevance.report.matrix import matrices
from relevance.report.page import Findings, findings_of
from relevance.tasks import LABELS

EXACT = {"abs": 1e-12, "rel": 0}


@pytest.fixture
def random_study(study):
    """Three rows of two seeds that answer at random, better and worse."""
    random = np.random.default_rng(0)
    for name, chance in (("ce-mh", 0.5), ("llm-mh", 0.7), ("llm-mhp", 0.8)):
        for seed in range(2):
            cell = study.cell(f"{name}-joint-s{seed}", metrics={})
            for split in ("validation", "test"):
                rows = next(iter(study.tables.values())).query("split == @split")
                p = random.dirichlet([0.3] * 3, len(rows))
                right = random.random(len(rows)) < chance
                p[right] = np.eye(3)[rows["label"].to_numpy()][right]
                table = predictions.table(rows["row"].to_numpy(), rows["task"].to_numpy(), rows["label"].to_numpy(), p)
                predictions.write(table, cell.folder / f"{split}.parquet")
    return study


def frame(text: str) -> pd.DataFrame:
    return pd.DataFrame(csv.DictReader(io.StringIO(text)))


def found(study) -> list[Findings]:
    return findings_of(matrices(study.sweep()))


def test_every_measure_of_cells_csv(random_study):
    table = frame(cells_csv(random_study.sweep(), found(random_study))).set_index(["cell", "task", "metric"])["value"]
    for cell in random_study.cells:
        stored = predictions.read(cell.folder / "test.parquet").to_pandas()
        per_task = []
        for task, rows in stored.groupby("task", observed=True):
            label, said = rows["label"], rows["predicted"]
            told = {
                "accuracy": accuracy_score(label, said),
                "macro_f1": f1_score(label, said, average="macro", labels=[0, 1, 2], zero_division=0),
                "quadratic_weighted_kappa": cohen_kappa_score(label, said, weights="quadratic"),
                "mean_absolute_error": mean_absolute_error(label, said),
            }
            recall = recall_score(label, said, average=None, labels=[0, 1, 2])
            told |= {f"recall_{word}": value for word, value in zip(LABELS, recall, strict=True)}
            for name, value in told.items():
                assert float(table[cell.cell, task, name]) == pytest.approx(value, **EXACT)
            per_task.append(told["accuracy"])
        assert float(table[cell.cell, "all", "accuracy"]) == pytest.approx(
            accuracy_score(stored["label"], stored["predicted"]), **EXACT
        )
        assert float(table[cell.cell, "all", "macro_accuracy"]) == pytest.approx(np.mean(per_task), **EXACT)


def test_ranking_measures_of_cells_csv(random_study):
    """Lists of five rows; grades of Dirichlet draws do not tie, but for answers that are sure."""
    (pairs,) = random_study.tables.values()
    place = pairs.groupby(["task", "split"]).cumcount()
    random_study.table(pairs.assign(left=pairs["task"] + " " + pairs["split"] + " " + (place // 2).astype(str)))
    cell = random_study.cells[0]
    rows = pairs.query("split == 'test'")
    p = np.random.default_rng(5).dirichlet([1] * 3, len(rows))
    row, task, label = (rows[name].to_numpy() for name in ("row", "task", "label"))
    predictions.write(predictions.table(row, task, label, p), cell.folder / "test.parquet")
    table = frame(cells_csv(random_study.sweep(), found(random_study))).set_index(["cell", "task", "metric"])
    stored = predictions.read(cell.folder / "test.parquet").to_pandas().assign(left=(np.arange(len(rows)) % 20) // 2)
    stored["grade"] = stored["p_partial"] + 2 * stored["p_relevant"]
    for name, of in stored.groupby("task", observed=True):
        values = {"ndcg_10": [], "mrr": [], "average_precision": [], "average_precision_relevant": []}
        for _, rows in of.groupby("left"):
            label, grade = rows["label"].to_numpy(), rows["grade"].to_numpy()
            ordered = label[np.argsort(-grade)]
            if label.any():
                values["ndcg_10"].append(ndcg_score([2.0**label - 1], [grade], k=10))
                values["average_precision"].append(average_precision_score(label >= 1, grade))
            if (label == 2).any():
                values["mrr"].append(1 / (1 + np.argmax(ordered == 2)))
                values["average_precision_relevant"].append(average_precision_score(label == 2, grade))
        for measure, expected in values.items():
            line = table.loc[(cell.cell, name, measure)]
            assert float(line["value"]) == pytest.approx(np.mean(expected), abs=1e-5)  # sums in single precision
            assert line["n"] == str(len(expected))


def test_holm_within_each_family_of_comparisons_csv(random_study):
    table = frame(comparisons_csv(found(random_study)))
    for family, tests in table.groupby("family"):
        tests = tests[tests["p"] != ""]
        p = tests["p"].astype(float).tolist()
        if p and not family.startswith(("best ", "column ")):  # those are the highest against all
            p = multipletests(p, method="holm")[1].tolist()
        assert tests["p_holm"].astype(float).tolist() == pytest.approx(p, **EXACT)


def test_differences_of_comparisons_csv_are_those_of_the_means(random_study):
    cells = frame(cells_csv(random_study.sweep(), found(random_study)))
    macro = cells[(cells["metric"] == "macro_accuracy") & (cells["status"] == "FINISHED") & (cells["run_id"] != "")]
    means = macro.astype({"value": float}).groupby(["model", "routing"])["value"].mean()
    table = frame(comparisons_csv(found(random_study))).query("family == 'column macro'")
    assert len(table) == 2
    for row in table.itertuples():
        a, b = (means[tuple(name.split()[:2])] for name in (row.a, row.b))
        assert float(row.estimate) == pytest.approx(a - b, abs=1e-6)
        assert float(row.low) < float(row.estimate) < float(row.high)
        assert (row.trained_a, row.trained_b) == ("", "")  # these runs logged none
