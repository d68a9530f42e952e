"""A gRPC server on the event loop itself, for private Unix sockets: docs/adr/0034.

``grpc.aio`` takes a thread, a wake-up and some system calls for each step of a call, and five times the time of this.
"""

from countersign.runtime.rpc.call import Aborted, Call
from countersign.runtime.rpc.server import Server

__all__ = ["Aborted", "Call", "Server"]
