"""A document of sections, tables and figures (blocks.py) → html, markdown, tex (render.py, page.html)."""
