"""Pairs from a file or from the generator → one checked table, written once per digest."""
