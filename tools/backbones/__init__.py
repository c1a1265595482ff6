"""Seed → the embedded backbones: generated documents in, Hugging Face folders out. Knows no task and no label."""
