"""From stamps to a training set one can trust: labels, screening, audit, splits, the operational check.

Section 2.2 of the paper as tools for any survey. Nothing here throws a stamp away: what is not to be learned
from is labelled so, with the reason beside it.
"""
