"""A night from frames to a ranked, calibrated, explained candidate list."""
