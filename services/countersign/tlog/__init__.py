"""Transparency logs: trees, tiles, proofs, signed notes and checkpoints, as RFC 6962 and C2SP describe them. Pure."""
