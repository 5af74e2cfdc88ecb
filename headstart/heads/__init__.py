"""Heads on frozen features: one file per way to fit one."""
