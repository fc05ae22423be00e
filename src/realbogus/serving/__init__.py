"""From a source through a scorer to sinks: one loop for folders, frames, alerts and streams that do not end.

Examples
--------
>>> from realbogus.serving.sinks import SINKS
>>> ".parquet" in SINKS, "sqlite" in SINKS
(True, True)
"""
