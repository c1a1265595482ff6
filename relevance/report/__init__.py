"""Finished cells → tables and a figure; reads records, predictions and rows.parquet, never trains.

scores.py predictions → accuracies · floors.py what needs no model · matrix.py cells → rows of the table
render.py rows → matrix.md · export.py rows → cells.csv, provenance.json · figures.py rows → heat map
"""
