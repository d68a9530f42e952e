"""The kept-up catalogue of credentials' formats, and nothing else: it loads while a process imports the other rooms."""

from countersign.catalogue.loading import NativeFinding, NativeScanner, load, load_ahead, loaded_ahead

__all__ = ["NativeFinding", "NativeScanner", "load", "load_ahead", "loaded_ahead"]
