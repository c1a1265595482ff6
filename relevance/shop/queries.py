"""A catalogue → what its visitors type, each with the want behind it.

Query(text="gray cornr couch", want=31)
Want(scope=LEAF, leaf=17, noun="sofa", group=2, values=("", "grey", "", "", ""), product=204)
"""

from random import Random
from typing import NamedTuple

from relevance.shop.catalogue import Catalogue, Sizes
from relevance.shop.lexicon import SLOTS, belongs, load_lexicon, misspell, spellings

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
