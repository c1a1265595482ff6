"""A catalogue and its queries → three tables of entities whose keys are integers, -1 for none.

Entities(text=["corner sofa", ...] [N], key={"leaf": [17, ...], "group": [2, ...], ...})
"""

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

import numpy as np

from relevance.shop.catalogue import (
    SLOTS,
    Catalogue,
    Sizes,
    belongs,
    build_catalogue,
    load_lexicon,
    misspell,
    spellings,
)

GROUP, NOUN, LEAF, NAVIGATION = range(4)
_NOTHING = ("",) * len(SLOTS)


class Want(NamedTuple):
    """What a visitor looks for: any product in the scope that has the wanted values."""

    scope: int
    leaf: int  # -1 above LEAF
    noun: str  # "" at GROUP
    group: int
    values: tuple[str, ...]  # one for each of SLOTS, "" where any will do
    product: int  # the one it was made from, -1 for none


class Query(NamedTuple):
    text: str
    want: int


def build_queries(sizes: Sizes, catalogue: Catalogue, random: Random) -> tuple[list[Want], list[Query]]:
    """Wants and their queries; no text twice, none of another world."""
    queries: dict[str, Query] = {}
    wants: dict[Want, int] = {}

    def add(want: Want, text: str) -> None:
        if text not in queries:
            queries[text] = Query(text, wants.setdefault(want, len(wants)))

    for group, name in enumerate(catalogue.group_names):
        add(Want(GROUP, -1, "", group, _NOTHING, -1), name)
    for index, leaf in enumerate(catalogue.leaves):
        for name in leaf.names[:3]:
            add(Want(LEAF, index, leaf.noun, leaf.group, _NOTHING, -1), name)
    for item in catalogue.items[::4]:
        product = catalogue.products[item.product]
        leaf = catalogue.leaves[product.leaf]
        add(Want(NAVIGATION, product.leaf, leaf.noun, leaf.group, product.values, item.product), item.title)
    for number in random.choices(range(len(catalogue.products)), k=sizes.wants):
        for want in _variations(_want(number, catalogue, random), catalogue, random):
            for _ in range(random.choice((1, 2, 3))):
                text = _text(want, catalogue, random)
                if belongs(text, catalogue.world):
                    add(want, text)
    return list(wants), list(queries.values())


def _want(number: int, catalogue: Catalogue, random: Random) -> Want:
    """A want that the product of this number meets: of its leaf type, its noun (under-specified) or its whole group."""
    index, values = catalogue.products[number]
    leaf = catalogue.leaves[index]
    scope = random.choices((LEAF, NOUN, GROUP), (6, 0 if leaf.accessory else 3, 1))[0]
    filled = [slot for slot, value in enumerate(values) if value]
    slots = random.sample(filled, min(len(filled), random.choice((1, 1, 2)) if scope else 1))
    wanted = tuple(value if slot in slots else "" for slot, value in enumerate(values))
    return Want(scope, index if scope == LEAF else -1, leaf.noun if scope else "", leaf.group, wanted, number)


def _variations(want: Want, catalogue: Catalogue, random: Random) -> list[Want]:
    """The want, and mostly one with a value less or one with a value changed."""
    slot = random.choice([slot for slot, value in enumerate(want.values) if value])
    department = load_lexicon()["departments"][catalogue.group_department[want.group]]
    others = [""] if slot == 0 else ["", *department[SLOTS[slot]]]
    values = tuple(random.choice(others) if s == slot else value for s, value in enumerate(want.values))
    # no product need meet a changed want, so none stands behind it
    return [want, want._replace(values=values, product=-1)] if random.random() < 0.6 else [want]


def _text(want: Want, catalogue: Catalogue, random: Random) -> str:
    """The want in words: type and values in any order, by synonyms, every fourth misspelt."""
    values = [random.choice(spellings(value)).lower() for value in want.values if value]
    words = [*values, _type_words(want, catalogue, random)]
    random.shuffle(words)
    text = " ".join(words)
    return misspell(text, random) if random.random() < 0.25 else text


def _type_words(want: Want, catalogue: Catalogue, random: Random) -> str:
    if want.scope == GROUP:
        return catalogue.group_names[want.group]
    if want.scope == LEAF:
        return random.choice(catalogue.leaves[want.leaf].names)
    department = load_lexicon()["departments"][catalogue.group_department[want.group]]
    synonyms = {noun: also for group in department["groups"] for noun, also in group["nouns"].items()}
    return random.choice([want.noun, *synonyms[want.noun]])


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
        "group": np.array([leaf.group for leaf in leaves]),
        "department": np.array([leaf.department for leaf in leaves]),
        "modifier": words.of(leaf.modifier for leaf in leaves),
        "noun": words.of(leaf.noun for leaf in leaves),
        "word": words.of(leaf.noun.split(" ")[-1] for leaf in leaves),
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
    leaf = np.array([product.leaf for product in catalogue.products])[product]
    key = _place(leaf, catalogue, words) | {"product": product}
    for slot, name in enumerate(SLOTS):
        key[name] = words.of(product.values[slot] for product in catalogue.products)[product]
    main = [SLOTS.index(department["key"]) for department in load_lexicon()["departments"]]
    key["main"] = np.choose(np.array(main)[key["department"]], [key[name] for name in SLOTS])
    return [item.title for item in catalogue.items], key


def _queries(wants: list[Want], queries: list[Query], catalogue: Catalogue, words: _Numbers) -> tuple[list[str], Keys]:
    want = np.array([query.want for query in queries])
    key = _place(np.array([want.leaf for want in wants]), catalogue, words)
    nouns = [want.noun for want in wants]
    key["noun"], key["word"] = words.of(nouns), words.of(noun.split(" ")[-1] for noun in nouns)
    key["group"] = np.array([want.group for want in wants])
    key["department"] = np.array(catalogue.group_department)[key["group"]]
    key["scope"] = np.array([want.scope for want in wants])
    key["product"] = np.array([want.product for want in wants])
    key["want"] = np.arange(len(wants))
    for slot, name in enumerate(SLOTS):
        key[name] = words.of(want.values[slot] for want in wants)
    places = {GROUP: key["group"], LEAF: key["leaf"], NAVIGATION: key["product"]}
    key["place"] = np.choose(key["scope"], [places.get(scope, key["noun"]) for scope in range(4)])
    return [query.text for query in queries], {name: column[want] for name, column in key.items()}
