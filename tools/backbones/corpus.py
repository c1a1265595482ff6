"""Seed → documents: the pages and logs of shops that no user's data comes from. Each is a list of short texts.

["Velmora corner couch, gray velvet", "furniture > seating > corner sofa", "searches: gray cornr couch; velmora sofa"]
["corner sofa", "also called: corner couch, corner settee", "part of: seating", "next to: folding armchair"]
["gray cornr couch", "grey corner couch"]
and pairs of texts whose facts (tools.backbones.compare) are known, every other one behind a line that names its kinds
["query item:\\n", "gray cornr couch", "Velmora corner sofa, grey, 1.6 m"]
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

import numpy as np

from relevance.shop.catalogue import SLOTS, world_index
from relevance.shop.entities import LEAF, NAVIGATION, Entities, build_entities
from tools.backbones.compare import FACTS, UNKNOWN, comparisons


@dataclass(frozen=True)
class Corpus:
    """N documents, what is known of them, and all entities of their shops."""

    documents: list[list[str]]
    facts: np.ndarray  # [N, len(FACTS)], UNKNOWN where nothing is stated
    entities: set[str]


def corpus(seed: int, shops: int, rows: int) -> Corpus:
    """Documents of `shops` shops of about 2 × `rows` each, in random order."""
    documents: list[list[str]] = []
    facts: list[np.ndarray] = []
    known: set[str] = set()
    for shop in range(seed, seed + shops):
        world = build_entities(rows, shop, world_index("pretraining"))
        pages = _pages(world, Random(shop))
        pairs, stated = comparisons(world, 2 * rows, np.random.default_rng(shop))
        documents += pages + pairs
        facts += [np.full((len(pages), len(FACTS)), UNKNOWN), stated]
        known.update(text for entities in world.values() for text in entities.text)
    order = np.random.default_rng(seed).permutation(len(documents))
    return Corpus([documents[at] for at in order], np.concatenate(facts)[order], known)


def digest(whole: Corpus) -> str:
    """sha256 (hex) over all texts and facts in order."""
    total = hashlib.sha256(np.ascontiguousarray(whole.facts).tobytes())
    for document in whole.documents:
        total.update(("\n".join(document) + "\n\n").encode())
    return total.hexdigest()


def _pages(world: dict[str, Entities], random: Random) -> list[list[str]]:
    return _item_pages(world, random) + _type_pages(world, random) + _query_logs(world, random)


def _members(keys: np.ndarray, texts: Iterable[str]) -> dict[int, list[str]]:
    """Texts by key; -1 is no key."""
    found: dict[int, list[str]] = {}
    for key, text in zip(keys.tolist(), texts, strict=True):
        if key >= 0:
            found.setdefault(key, []).append(text)
    return found


def _some(texts: list[str], most: int, random: Random) -> list[str]:
    return random.sample(texts, min(most, len(texts)))


def _item_pages(world: dict[str, Entities], random: Random) -> list[list[str]]:
    """Title, path in the tree and searches that led to it, in either order."""
    item, kind, query = world["item"], world["type"], world["query"]
    names = _members(kind.key["leaf"], kind.text)
    upper = dict(zip(kind.key["node"].tolist(), kind.text, strict=True))
    departments = int((kind.key["level"] == 0).sum())
    searches = _members(np.where(query.key["scope"] < NAVIGATION, query.key["product"], -1), query.text)
    pages = []
    for title, leaf, group, department, product in zip(
        item.text,
        *(item.key[name].tolist() for name in ("leaf", "group", "department", "product")),
        strict=True,
    ):
        path = f"{upper[department]} > {upper[departments + group]} > {random.choice(names[leaf])}"
        led = _some(searches.get(product, []), 2, random)
        page = [title, path, *(["searches: " + "; ".join(led)] if led else [])]
        pages.append(page if random.random() < 0.5 else page[::-1])
    return pages


def _type_pages(world: dict[str, Entities], random: Random) -> list[list[str]]:
    """Each type with its other names, what it is part of, and types beside it, in any order."""
    kind, query = world["type"], world["query"]
    upper = dict(zip(kind.key["node"].tolist(), kind.text, strict=True))
    beside = _members(kind.key["parent"], kind.text)
    plain = (query.key["scope"] == LEAF) & np.all([query.key[slot] < 0 for slot in SLOTS], axis=0)
    called = _members(np.where(plain, query.key["leaf"], -1), query.text)
    pages = []
    for name, parent, leaf in zip(kind.text, kind.key["parent"].tolist(), kind.key["leaf"].tolist(), strict=True):
        other = [text for text in called.get(leaf, []) if text != name]
        facts = [
            "also called: " + ", ".join(_some(other, 3, random)) if other else "",
            f"part of: {upper[parent]}" if parent >= 0 else "",
            "next to: " + ", ".join(_some(beside[parent], 3, random)) if parent >= 0 else "",
        ]
        facts = [fact for fact in facts if fact]
        random.shuffle(facts)
        pages.append([name, *facts])
    return pages


def _query_logs(world: dict[str, Entities], random: Random) -> list[list[str]]:
    """A search and the same want typed another way; a search and a title it led to."""
    query, item = world["query"], world["item"]
    again = _members(query.key["want"], query.text)
    made = _members(np.where(query.key["scope"] < NAVIGATION, query.key["product"], -1), query.text)
    titles = _members(item.key["product"], item.text)
    logs = [random.sample(texts, min(len(texts), 3)) for texts in again.values() if len(texts) > 1]
    for product, texts in made.items():
        logs += [[text, f"opened: {random.choice(titles[product])}"] for text in texts if product in titles]
    return logs
