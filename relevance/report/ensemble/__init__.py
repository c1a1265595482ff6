"""Cells that vote: members.py who votes together · ballot.py their answers → a vote · diversity.py how they differ
fitted.py weights and the best subset, on validation · section.py all of it as tables
"""
