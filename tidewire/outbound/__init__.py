"""HTTP requests that users' words make the server send: bounded, and never to where only the server could get."""

from tidewire.outbound.client import Answer, FetchError, Incoming, Outbound

__all__ = ["Answer", "FetchError", "Incoming", "Outbound"]
