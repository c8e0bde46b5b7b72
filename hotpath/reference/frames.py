"""WebSocket frames (RFC 6455), in plain Python: the twin of hotpath/frames.pyx, and its documentation."""

import codecs

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
RSV1 = 0x40
NAMES = {TEXT: "text", BINARY: "binary", PING: "ping", PONG: "pong"}

Item = tuple[str, bytes] | tuple[str, int, bytes] | tuple[str, int, str]


class Broken(Exception):
    """The peer broke the protocol: close with `code`."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code, self.why = code, why


def encode_head(opcode: int, size: int) -> bytes:
    """Return the head of an unfragmented server frame: 2, 4 or 10 bytes (RFC 6455 5.2)."""
    if size <= 125:
        return bytes((0x80 | opcode, size))
    if size <= 65535:
        return bytes((0x80 | opcode, 126)) + size.to_bytes(2, "big")
    return bytes((0x80 | opcode, 127)) + size.to_bytes(8, "big")


def encode_frame(opcode: int, payload: bytes) -> bytes:
    """Return one unfragmented, unmasked frame."""
    return encode_head(opcode, len(payload)) + payload


def close_code_allowed(code: int) -> bool:
    """RFC 6455 7.4 and the IANA registry; 1004-1006 and 1015 never appear on the wire."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999


class Parser:
    """Turns a client's bytes into messages and control frames; state survives between reads."""

    def __init__(self, max_message: int, max_fragments: int, deflate: bool = False) -> None:
        self.deflate = deflate
        self._packed = False         # the open message is compressed
        self.max_message, self.max_fragments = max_message, max_fragments
        self.ended = False
        self._input = bytearray()    # the head so far
        self._body = bytearray()     # the open message, unmasked
        self._control = bytearray()  # the control frame being read, unmasked
        self._message = 0            # opcode of the open message
        self._fragments = 0
        self._mask = b""             # empty: reading a head
        self._mask_at = self._left = self._opcode = 0
        self._fin = False
        self._utf8 = codecs.getincrementaldecoder("utf-8")()

    @property
    def held_bytes(self) -> int:
        """Bytes kept aside for a partial message."""
        return len(self._body)

    @property
    def missing(self) -> int:
        """Payload bytes of the current frame still to come."""
        return self._left if self._mask else 0

    def feed(self, data: bytes) -> list[Item]:
        """Return what became complete: ("text"|"binary"|"ping"|"pong", payload), ("close", code, reason) or
        ("error", code, why). After the last two nothing follows. "packed text" and "packed binary" are compressed."""
        result: list[Item] = []
        at = 0
        try:
            while not self.ended:
                item, at = self.next(data, at)
                if item is None:
                    break
                result.append(item)
        except Broken as broken:
            self.ended = True
            result.append(("error", broken.code, broken.why))
        return result

    def next(self, data: bytes, at: int) -> tuple[Item | None, int]:
        """Return the next complete item from data[at:], or None, and where reading stopped. Raises: Broken."""
        while True:
            while not self._mask:
                if at == len(data):
                    return None, at
                self._input.append(data[at])
                at += 1
                self._read_head()
            part = data[at:at + self._left]
            at += len(part)
            self._left -= len(part)
            clear = bytes(b ^ self._mask[(self._mask_at + i) & 3] for i, b in enumerate(part))
            self._mask_at += len(part)
            if self._opcode & 8:
                self._control += clear
            else:
                self._add_text_or_binary(clear)
            if self._left:
                return None, at
            self._mask = b""
            if self._opcode & 8:
                payload, self._control = bytes(self._control), bytearray()
                return self._control_item(payload), at
            if self._fin:
                name, body = "packed " * self._packed + NAMES[self._message], bytes(self._body)
                self._message, self._body = 0, bytearray()
                return (name, body), at

    def _read_head(self) -> None:
        head = self._input
        if len(head) < 2:
            return
        if len(head) == 2:
            self._check_start()
        size = head[1] & 0x7F
        need = 2 + {126: 2, 127: 8}.get(size, 0)
        if len(head) == need:
            if size >= 126:
                size = int.from_bytes(head[2:need], "big")
                if size >> 63 or size < (65536 if need == 10 else 126):
                    raise Broken(1002, "length not minimal")
            limit = self.max_message + (self.max_message // 8 + 64 if self._packed else 0)
            if not head[0] & 8 and size > limit - len(self._body):
                raise Broken(1009, "message too big")
            self._left = size
        if len(head) == need + 4:
            self._mask, self._mask_at = bytes(head[need:]), 0
            self._opcode, self._fin = head[0] & 0x0F, bool(head[0] & 0x80)
            self._input = bytearray()

    def _check_start(self) -> None:
        first, second = self._input
        opcode, size = first & 0x0F, second & 0x7F
        if first & 0x70 and not (self.deflate and first & 0x70 == RSV1 and opcode in (TEXT, BINARY)):
            raise Broken(1002, "reserved bit")
        if BINARY < opcode < CLOSE or opcode > PONG:
            raise Broken(1002, "reserved opcode")
        if not second & 0x80:
            raise Broken(1002, "unmasked")
        if opcode & 8:
            if not first & 0x80:
                raise Broken(1002, "fragmented control frame")
            if size > 125:
                raise Broken(1002, "long control frame")
            return
        if opcode == CONTINUATION:
            if not self._message:
                raise Broken(1002, "nothing to continue")
        elif self._message:
            raise Broken(1002, "message inside a message")
        else:
            self._message, self._fragments, self._packed = opcode, 0, bool(first & RSV1)
            self._utf8.reset()
        self._fragments += 1
        if self._fragments > self.max_fragments:
            raise Broken(1008, "too many fragments")

    def _add_text_or_binary(self, clear: bytes) -> None:
        self._body += clear
        if self._message == TEXT and not self._packed:
            try:
                self._utf8.decode(clear, final=self._fin and not self._left)
            except UnicodeDecodeError as error:
                raise Broken(1007, "not UTF-8") from error

    def _control_item(self, payload: bytes) -> Item:
        if self._opcode != CLOSE:
            return NAMES[self._opcode], payload
        if len(payload) == 1:
            raise Broken(1002, "close code of one byte")
        code = int.from_bytes(payload[:2], "big") if payload else 1005
        if payload and not close_code_allowed(code):
            raise Broken(1002, "close code not allowed")
        try:
            payload[2:].decode("utf-8")
        except UnicodeDecodeError as error:
            raise Broken(1007, "close reason not UTF-8") from error
        self.ended = True
        return "close", code, payload[2:]
