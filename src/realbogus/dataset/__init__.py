"""Stamp sets for learning: assembled with labels, and split without leakage."""
