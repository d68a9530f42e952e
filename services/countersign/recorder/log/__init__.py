"""The log over the record: every event a leaf of one tree, whose signed size and root are published."""
