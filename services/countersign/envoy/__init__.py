"""Envoy's configuration, built as its own protobuf messages: no hand-written YAML, no target's credential in it.

``listener`` says what happens to every request, ``routes`` who serves which path, ``clusters`` where they are,
``bootstrap`` puts it together. Routes and targets' clusters are files that Envoy watches, so that an edit of
gateway.yaml needs no restart and cuts no stream.
"""

from countersign.envoy.bootstrap import EnvoyFiles, write_bootstrap, write_dynamic
from countersign.envoy.wiring import Wiring

__all__ = ["EnvoyFiles", "Wiring", "write_bootstrap", "write_dynamic"]
