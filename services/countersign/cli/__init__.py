"""The ``countersign`` command."""
