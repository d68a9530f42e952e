"""The ``countersign`` command."""

from countersign.runtime.settings import choose_grpc_engine

# Before any command imports grpc.
choose_grpc_engine()
