"""Finished cells → pages, tables and figures people decide from; reads records, predictions and rows.parquet alone.

what there is   row.py cells → a row · matrix.py rows of one table of pairs · floors.py what needs no model
how sure        evidence/ resampled entities, contrasts, McNemar, calibration · comparisons.py every row and the best
what follows    main_rows.py what claims are about · claims.py · factors.py · baselines.py · ensemble/, votes.py
                consistency.py · calibration.py · mistakes.py, slices.py · findings.py all of it, each computed once
how it is told  opening.py three sentences · outline.py the sections in their order · pictures.py, figures/ · form/
                markdown, html, tex · files/ csv and json · render.py the files · compare.py two sweeps
what is kept    archive.py runs.zip, from which all of it is made again
"""
