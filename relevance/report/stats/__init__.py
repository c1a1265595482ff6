"""How sure: predictions → resampled accuracies → differences with intervals and tests.

held_out.py rows.parquet → the test rows and their entities · resample.py correct or not → accuracies of resampled rows
contrast.py rows of the matrix → an effect with its interval · mcnemar.py two cells → p
"""
