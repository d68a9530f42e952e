"""The servers of the matrix: two of ours on others' frameworks, and others' own programs."""
