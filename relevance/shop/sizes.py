"""How many things a generated shop is built from.

Sizes.of(40_000) → Sizes(leaves=500, products=5000, brands=10, wants=1666)
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    leaves: int  # product types that items have
    products: int  # every fourth is listed twice
    brands: int  # of a department, at least
    wants: int  # of those that are made from products, and varied

    @classmethod
    def of(cls, rows: int) -> "Sizes":
        """Fit for about `rows` pairs of all tasks: a leaf type for each 80, a product for each 8."""
        return cls(max(60, rows // 80), max(240, rows // 8), 8 + rows // 20_000, max(120, rows // 24))
