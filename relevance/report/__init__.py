"""Finished cells → pages, tables and figures people decide from; reads records, predictions and rows.parquet alone.

what there is   rows.py cells → a row · matrix.py the rows on one table of pairs · ensembles.py cells that vote together
how sure        stats/ resampled entities, contrasts, McNemar's test, calibration
what follows    sections/ what is computed of a matrix, and its section of the page · findings.py all of it, once each
how it is told  outline.py the sections in their order · figures/ · relevance.pages markdown, html, tex
what is written render.py the folder · files.py csv and json · compare.py two sweeps · archive.py runs.zip, from which
                all of it is made again
"""
