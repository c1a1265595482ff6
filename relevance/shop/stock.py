"""A catalogue → the table of what is sold and the table of its types.

items     item_id="i77", title="Velmora corner couch, gray velvet, 1.6 m", brand="Velmora",
          description="Brand: Velmora. Colour: grey. ...", product_type="corner sofa"
taxonomy  type="corner sofa", parent="seating"
"""

import numpy as np
import pyarrow as pa

from relevance.shop.catalogue import Catalogue
from relevance.shop.lexicon import SLOTS


def items(catalogue: Catalogue, ids: np.ndarray) -> pa.Table:
    """A row for each item, in the catalogue's order: item_id, title, description, brand, product_type."""
    products = [catalogue.products[item.product] for item in catalogue.items]
    columns = {
        "item_id": ids,
        "title": [item.title for item in catalogue.items],
        "description": [_description(product.values) for product in products],
        "brand": [product.values[SLOTS.index("brand")] for product in products],
        "product_type": [catalogue.leaves[product.leaf].names[0] for product in products],
    }
    return pa.table({name: pa.array(column, pa.string()) for name, column in columns.items()})


def _description(values: tuple[str, ...]) -> str:
    """What it is made of: "Brand: Velmora. Colour: grey. Size: 160 cm"."""
    return ". ".join(f"{slot.capitalize()}: {value}" for slot, value in zip(SLOTS, values, strict=True) if value)


def taxonomy(catalogue: Catalogue) -> pa.Table:
    """Departments, whose parent is null, groups and leaves."""
    rows = [(name, None) for name in catalogue.departments]
    rows += [
        (name, catalogue.departments[department])
        for name, department in zip(catalogue.group_names, catalogue.group_department, strict=True)
    ]
    rows += [(leaf.names[0], catalogue.group_names[leaf.group]) for leaf in catalogue.leaves]
    types, parents = zip(*rows, strict=True)
    return pa.table({"type": pa.array(types, pa.string()), "parent": pa.array(parents, pa.string())})
