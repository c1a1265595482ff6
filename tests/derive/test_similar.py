"""Hard negatives and doubtful labels."""

import numpy as np
import pytest

from relevance.derive.commands import Similarity, SimilarityOptions
from relevance.derive.similarity import alike, nearest, vectors
from relevance.errors import UserError
from tests.derive.derived import TREE, run, written

TEXTS = ["usb cable", "usb cables", "garden chair", "chair for the garden"]
ITEMS = {"garden sofa": "sofas", "radio for the garden sofa": "radios", "stool": "chairs", "tuner": "tuners"}
JUDGED = [("garden sofa", "garden sofa", 2), ("tuner", "tuner", 2), ("stool", "stool", 2)]


@pytest.mark.parametrize("kind", [Similarity.lexical, Similarity.embedding])
def test_texts_are_most_like_themselves_and_then_like_their_kin(kind):
    made = vectors(TEXTS, SimilarityOptions(kind=kind))
    places = np.arange(4)
    assert np.allclose(alike(made, places, places), 1, atol=1e-5)
    assert nearest(made, made, 2).tolist() == [[0, 1], [1, 0], [2, 3], [3, 2]]
    assert nearest(made, made, 9).shape == (4, 4)


def test_the_most_alike_far_type_is_mined(tmp_path):
    files = written(tmp_path, JUDGED, ITEMS, TREE)
    made, rows = run(tmp_path, files, "rules.draws=0", "similarity.kind=lexical", "similarity.mine=2")
    mined = {(row["left_id"], row["right_id"]) for row in rows if row["source"] == "mined of far types"}
    assert ("garden sofa", "radio for the garden sofa") in {tuple(sorted(pair)) for pair in mined}
    assert all(row["label"] == 0 for row in rows if row["source"].startswith("mined"))
    assert "mined of far types" not in made.idle


def test_doubtful_labels_are_dropped_and_counted_but_never_what_people_judged(tmp_path):
    files = written(tmp_path, JUDGED, ITEMS, TREE)
    plain, _ = run(tmp_path, files)
    made, rows = run(tmp_path, files, "similarity.kind=lexical", "similarity.above=0.01", "similarity.below=1.0")
    assert not [row for row in rows if row["label"] == 2 and row["task"] != "query_item"]
    assert sum(row["task"] == "query_item" for row in rows) == plain.ledger.steps["similar"]["judged"]
    assert made.ledger.steps["similar"]["own type"] == 0 < made.ledger.steps["apart"]["own type"]


def test_a_model_that_is_not_there_is_named(tmp_path):
    files = written(tmp_path, JUDGED, ITEMS, TREE)
    with pytest.raises(UserError, match=r"similarity\.model=\./nowhere.*no such folder"):
        run(tmp_path, files, "similarity.kind=embedding", "similarity.mine=2", "similarity.model=./nowhere")
