"""How sure: predictions → resampled accuracies → differences with intervals and tests.

resample.py the test rows, their entities, accuracies of resampled rows · contrast.py an effect with its interval,
McNemar's test · calibration.py whether a confidence is the share of answers that are right; calibrators.py fits it
"""
