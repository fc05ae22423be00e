"""`realbogus serve`: stamps come in over HTTP, scores go back."""
