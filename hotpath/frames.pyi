"""WebSocket frames (RFC 6455): a streaming parser for what clients send, and the encoding of what we send."""

def encode_frame(opcode: int, payload: bytes) -> bytes:
    """Return one unfragmented, unmasked frame."""

class Parser:
    """Turns a client's bytes into messages and control frames; state survives between reads.

    max_message: bytes of one message, all fragments together; max_fragments: frames of one message; deflate: messages
    may be compressed (RFC 7692). They are not inflated here; max_message allows them an eighth and 64 bytes more.
    """

    def __init__(self, max_message: int, max_fragments: int, deflate: bool = False) -> None: ...
    def feed(self, data: bytes) -> list[tuple[str, bytes] | tuple[str, int, bytes] | tuple[str, int, str]]:
        """Return what became complete: ("text"|"binary"|"ping"|"pong", payload), ("close", code, reason) or
        ("error", code, why). After the last two nothing follows. "packed text" and "packed binary" are compressed."""
    @property
    def held_bytes(self) -> int:
        """Bytes kept aside for a partial message."""
