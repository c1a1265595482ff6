"""Judgements of query and item, a catalogue and a tree of types → one table of pairs with up to six tasks."""
