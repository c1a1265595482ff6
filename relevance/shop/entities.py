"""A catalogue and its queries → three tables of entities whose keys are integers, -1 for none.

Entities(text=["corner sofa", ...] [N], key={"leaf": [17, ...], "group": [2, ...], ...})
"""

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

import numpy as np

from relevance.shop.catalogue import Catalogue, Sizes, build_catalogue
from relevance.shop.lexicon import SLOTS, load_lexicon
from relevance.shop.queries import GROUP, LEAF, NAVIGATION, Query, Want, build_queries

Keys = dict[str, np.ndarray]


@dataclass(frozen=True)
class Entities:
    """Entities of one kind: texts [N], all different, and keys of shape [N]."""

    text: np.ndarray
    key: Keys

    def at(self, where: np.ndarray) -> Keys:
        """The keys [M] of the entities at positions [M]."""
        return {name: column[where] for name, column in self.key.items()}


class _Numbers(dict):
    """Numbers words in the order of their first use; "" is -1."""

    def of(self, words: Iterable[str]) -> np.ndarray:
        return np.array([self.setdefault(word, len(self)) if word else -1 for word in words], dtype=np.int64)


def build_entities(rows: int, seed: int, world: int) -> dict[str, Entities]:
    """The entities "query", "item" and "type" of a world: the same for the same arguments."""
    random = Random(f"{seed}/{world}")
    sizes = Sizes.of(rows)
    catalogue = build_catalogue(sizes, random, world)
    return entities_of(catalogue, *build_queries(sizes, catalogue, random))


def entities_of(catalogue: Catalogue, wants: list[Want], queries: list[Query]) -> dict[str, Entities]:
    """The entities "query", "item" and "type" of a catalogue, in its order."""
    words, texts = _Numbers(), _Numbers()
    raw = {
        "query": _queries(wants, queries, catalogue, words),
        "item": _items(catalogue, words),
        "type": _types(catalogue, words),
    }
    return {
        kind: Entities(np.array(text, dtype=object), key | {"text": texts.of(text), "any": np.zeros(len(text), int)})
        for kind, (text, key) in raw.items()
    }


def _place(leaf: np.ndarray, catalogue: Catalogue, words: _Numbers) -> Keys:
    """Keys of the tree and of the words of the names of leaves [N]; -1 in, -1 out."""
    leaves = catalogue.leaves
    columns = {
        "group": np.array([one.group for one in leaves]),
        "department": np.array([one.department for one in leaves]),
        "modifier": words.of(one.modifier for one in leaves),
        "noun": words.of(one.noun for one in leaves),
        "word": words.of(one.noun.split(" ")[-1] for one in leaves),
    }
    return {"leaf": leaf} | {name: np.where(leaf >= 0, column[leaf], -1) for name, column in columns.items()}


def _types(catalogue: Catalogue, words: _Numbers) -> tuple[list[str], Keys]:
    """Departments, groups and leaves; two thirds of the leaves that have an alias also stand under it."""
    named = [(index, name) for index, leaf in enumerate(catalogue.leaves) for name in leaf.names[: 1 + (index % 3 > 0)]]
    departments, groups = len(catalogue.departments), len(catalogue.group_names)
    text = [*catalogue.departments, *catalogue.group_names, *(name for _, name in named)]
    leaf = np.array([-1] * (departments + groups) + [index for index, _ in named])
    key = _place(leaf, catalogue, words)
    above = np.arange(departments + groups)
    key["level"] = np.where(leaf >= 0, 2, 1)
    key["level"][:departments] = 0
    key["department"][:departments] = above[:departments]
    key["department"][departments : departments + groups] = catalogue.group_department
    key["group"][departments : departments + groups] = above[:groups]
    # numbers of the nodes of the tree: departments, groups, leaves
    key["node"] = np.where(leaf >= 0, leaf + departments + groups, np.arange(len(text)))
    key["parent"] = np.select(
        [key["level"] == 2, key["level"] == 1], [key["group"] + departments, key["department"]], -1
    )
    return text, key


def _items(catalogue: Catalogue, words: _Numbers) -> tuple[list[str], Keys]:
    product = np.array([item.product for item in catalogue.items])
    leaf = np.array([one.leaf for one in catalogue.products])[product]
    key = _place(leaf, catalogue, words) | {"product": product}
    for slot, name in enumerate(SLOTS):
        key[name] = words.of(one.values[slot] for one in catalogue.products)[product]
    main = [SLOTS.index(department["key"]) for department in load_lexicon()["departments"]]
    key["main"] = np.choose(np.array(main)[key["department"]], [key[name] for name in SLOTS])
    return [item.title for item in catalogue.items], key


def _queries(wants: list[Want], queries: list[Query], catalogue: Catalogue, words: _Numbers) -> tuple[list[str], Keys]:
    want = np.array([query.want for query in queries])
    key = _place(np.array([one.leaf for one in wants]), catalogue, words)
    nouns = [one.noun for one in wants]
    key["noun"], key["word"] = words.of(nouns), words.of(noun.split(" ")[-1] for noun in nouns)
    key["group"] = np.array([one.group for one in wants])
    key["department"] = np.array(catalogue.group_department)[key["group"]]
    key["scope"] = np.array([one.scope for one in wants])
    key["product"] = np.array([one.product for one in wants])
    key["want"] = np.arange(len(wants))
    for slot, name in enumerate(SLOTS):
        key[name] = words.of(one.values[slot] for one in wants)
    places = {GROUP: key["group"], LEAF: key["leaf"], NAVIGATION: key["product"]}
    key["place"] = np.choose(key["scope"], [places.get(scope, key["noun"]) for scope in range(4)])
    return [query.text for query in queries], {name: column[want] for name, column in key.items()}
