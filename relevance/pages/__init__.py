"""A document → text of one form: markdown.py, html.py (page.html), latex.py; each escapes what came from data."""
