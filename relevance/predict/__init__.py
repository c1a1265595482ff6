"""Trained cells applied to files of pairs: what is read → scored, voted on, written."""
