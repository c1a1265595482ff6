"""A trained cell → a plain Hugging Face folder that needs nothing of ours, with how its input is made and proof."""
