"""Several models' probabilities → one label a row: the majority's, the higher one of a tie.

labels [2, 2, 0] → 2; [0, 2] → 2; [0, 1, 2] → 2
"""

import numpy as np

TIE = "a tie goes to the higher label"


def vote(probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities [M, N, 3] of M models → their mean [N, 3] float32 and the voted labels [N] int8."""
    labels = probabilities.argmax(axis=2)
    votes = (labels[..., None] == np.arange(3)).sum(axis=0)  # [N, 3]
    highest = 2 - votes[:, ::-1].argmax(axis=1)  # argmax takes the first of equals: the last label, turned round
    return probabilities.mean(axis=0, dtype=np.float64).astype(np.float32), highest.astype(np.int8)
