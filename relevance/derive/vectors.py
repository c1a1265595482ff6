"""Texts → vectors of length 1 whose dot product says how alike they are.

["usb c cable", "USB-C lead"] → [2, 128] floats of a transformer, or [2, n-grams] sparse weights
"""

import numpy as np
from scipy.sparse import csr_matrix

from relevance.derive.options import Similarity, SimilarityOptions
from relevance.errors import UserError, first_line
from relevance.lexical import row_dot

EMBEDDED = "embedded:ce"
BATCH = 256  # texts
TOKENS = 128  # of a text that are read
Vectors = np.ndarray | csr_matrix


def vectors(texts: list[str], options: SimilarityOptions) -> Vectors:
    """[N, size], each row of length 1; raises UserError for a model that cannot be loaded."""
    return lexical(texts) if options.kind is Similarity.lexical else embedding(texts, options.model or EMBEDDED)


def lexical(texts: list[str]) -> csr_matrix:
    """Weights of character 3- and 4-grams within words: tf-idf as scikit-learn has it."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 4), dtype=np.float32).fit_transform(texts)


def embedding(texts: list[str], name: str) -> np.ndarray:
    """The mean of the last states of a text's tokens, its length made 1; of any model that AutoModel loads."""
    import torch
    from tqdm import tqdm

    tokenizer, model = _loaded(name)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = model.eval().to(device)
    order = np.argsort([len(text) for text in texts], kind="stable")[::-1]
    found = np.empty((len(texts), model.config.hidden_size), np.float32)
    with torch.inference_mode():
        for start in tqdm(range(0, len(texts), BATCH), unit_scale=BATCH, unit="text", disable=None):
            rows = order[start : start + BATCH]
            given = tokenizer([texts[row] for row in rows], padding=True, truncation=True, max_length=TOKENS,
                              return_tensors="pt").to(device)  # fmt: skip
            states = model(input_ids=given["input_ids"], attention_mask=given["attention_mask"]).last_hidden_state
            mask = given["attention_mask"].unsqueeze(-1)
            mean = (states * mask).sum(1).float() / mask.sum(1).clamp(min=1)
            found[rows] = torch.nn.functional.normalize(mean, dim=-1).cpu().numpy()
    return found


def _loaded(name: str):
    from transformers import AutoModel, AutoTokenizer

    from relevance.model.backbone import folder

    try:
        path = folder(name)
        tokenizer = AutoTokenizer.from_pretrained(path)
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        return tokenizer, AutoModel.from_pretrained(path)
    except (OSError, ValueError, UserError) as error:
        said = first_line(error).removeprefix(f"model.backbone={name}: ")
        raise UserError(
            f"similarity.model={name}: AutoModel cannot load it ({said}); give a folder or a hub id"
        ) from error


def alike(vectors: Vectors, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Cosine [M] of the rows `left` [M] and `right` [M]."""
    if isinstance(vectors, np.ndarray):
        return np.einsum("nd,nd->n", vectors[left], vectors[right])
    return row_dot(vectors, left, right)


def nearest(left: Vectors, right: Vectors, most: int) -> np.ndarray:
    """Places in `right` [N, most or fewer] of the rows most alike to each row of `left` [N], the closest first."""
    from sklearn.neighbors import NearestNeighbors

    index = NearestNeighbors(n_neighbors=min(most, right.shape[0]), metric="cosine", algorithm="brute").fit(right)
    return index.kneighbors(left, return_distance=False)
