"""A seed → a made-up shop: its pairs of six tasks, or the judgements, items and taxonomy that a search team has."""
