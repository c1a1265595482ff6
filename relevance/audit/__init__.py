"""A table of pairs → what it holds, where it leaks, how far to trust its labels; refuses nothing that can be read.

what is looked at  options.py · opened.py the sound rows · match.py the same pair again
what is counted    counts.py · copies.py · leaks.py · baseline.py · judged.py, kappa.py · facts.py all of it
how it is told     findings.py sentences · tables.py, page.py · commands.py the two commands
what follows       limits.py refuses leaks · sheet.py pairs for people to grade · grades.py, graded.py,
                   graded_page.py what they said
"""
