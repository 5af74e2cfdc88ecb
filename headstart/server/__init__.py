"""Saved models behind an address: requests in, answers out, several at a time."""
