"""Access reviews: what was used, what was granted for nothing, what would have been enough. Reads what it is given."""
