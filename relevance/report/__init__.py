"""Finished cells → pages, tables and figures people decide from; reads records, predictions and rows.parquet alone.

what there is   rows.py cells → a row · matrix.py the rows on one table of pairs · votes.py cells that vote
how sure        panel.py, inference.py intervals over entities and seeds · verdict.py what follows for a family
what is asked   claims.py contrasts · evidence.py all of them as one frame of effects
what is shown   sections/ · page.py their order · figures.py · files.py the folder of a sweep · compare.py of two ·
                archive.py runs.zip, from which all of it is made again
"""
