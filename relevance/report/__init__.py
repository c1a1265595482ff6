"""Finished cells → pages, tables and figures people decide from; reads records, predictions and rows.parquet alone.

what there is   rows.py cells → a row · matrix.py the rows on one table of pairs · ensembles.py cells that vote together
how sure        stats.py resampled entities, contrasts, McNemar's test
what follows    sections/ what is computed of a matrix, and its section of the page · figures/
what is written outline.py the findings and the sections in their order · files.py the folder, of one sweep or of two ·
                archive.py runs.zip, from which all of it is made again
"""
