"""Every kind of backbone under every routing: what fits, saves, reloads and gives equal logits, as a table."""
