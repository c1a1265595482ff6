"""Cells that vote: members.py who votes together · ballot.py their answers → a vote · diversity.py how they differ
section.py all of it as tables
"""
