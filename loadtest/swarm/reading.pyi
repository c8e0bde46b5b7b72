"""What a server's frames say, and what a client's look like. These names are for tests; crowd uses the C functions."""

def text(data: bytes) -> tuple[str, int, bool]:
    """Return ("reply", seq_reply, is it OK?), ("event" | "hello" | "posted", seq, False) or ("unreadable", …)."""

def connection_id(data: bytes) -> bytes:
    """Return the connection id of a `hello`, empty if it has none."""

def mark(data: bytes) -> int:
    """Return when the post was sent, µs since 1970, from its "tw-sent:" and 16 digits; -1 without them."""

def head(data: bytes) -> tuple[int, int, bool, int] | None:
    """Return (size of the head, its first byte, masked, size of the payload); None if it is not complete."""

def frame(opcode: int, mask: int, payload: bytes) -> bytes:
    """Return one masked frame. mask: 32 bits, the lowest eight for the first byte."""

def bucket(us: int) -> int:
    """Return the number of the bucket for a duration; see histogram.py."""
