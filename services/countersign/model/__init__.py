"""The words of the design as frozen dataclasses. Standard library only; everything else may import this."""
