"""Detectors of transformers: which there are, what they are built from, and their heads."""
