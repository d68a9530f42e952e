"""Trying a policy before it is trusted: test cases, and recorded calls judged again. Reads given files only."""
