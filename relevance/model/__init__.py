"""The model: token ids of mixed tasks in, one row of three logits per pair out. Reads no pairs, knows no data."""
