"""Finished cells → tables and a figure; reads records, predictions and rows.parquet, never trains.

scores.py predictions → accuracies · floors.py what needs no model · matrix.py cells → rows of the table
accuracy.py, probes.py, cost.py rows → the tables of matrix.md, as text by tables.py
render.py tables and notes.py → matrix.md · export.py rows → cells.csv, provenance.json · figures.py rows → heat map
"""
