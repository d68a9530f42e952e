"""Hands the published record on to files, collectors and SIEMs: at least once, with stable ids, in order."""
