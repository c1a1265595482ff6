"""Parts of the page, each a thought: what is computed of a matrix, and how it is shown."""
