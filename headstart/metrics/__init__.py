"""Metrics: what answers are worth in one number, a file for each family."""
