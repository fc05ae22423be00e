"""People look at stamps: a page on this computer, a file of votes, what the votes say together."""
