"""From frames to stamps: read, measure, align, reference, subtract, detect, cut, inject, simulate."""
