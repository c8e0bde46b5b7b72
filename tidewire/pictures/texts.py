"""What a file says, for search. Runs in the worker process that decodes pictures: a hostile file costs that process."""

from pathlib import Path

from tidewire.pictures.squares import NotAPicture

CHARACTERS_MAX = 200_000
READ_BYTES = 1 << 20  # of a plain text
PAGES_MAX = 300
_PLAIN = (
    "txt", "md", "markdown", "rst", "csv", "tsv", "log", "json", "xml", "yaml", "yml", "toml", "ini", "conf", "py",
    "js", "ts", "go", "rs", "c", "h", "cpp", "java", "sh", "sql", "css",
)  # fmt: skip
TEXT_TYPES = frozenset({*_PLAIN, "pdf"})


def read_text(path: str, characters: int) -> str:
    """Return at most so many characters of a file's text. The kind is told by the path's ending.

    Raises: NotAPicture for a PDF that is none, or is encrypted.
    """
    if path.endswith(".pdf"):
        return _clean(_pdf(path, characters), characters)
    with Path(path).open("rb") as file:
        data = file.read(READ_BYTES)
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
    return _clean(data.decode(encoding, errors="replace"), characters)


def _pdf(path: str, characters: int) -> str:
    # Costs 60 ms and 15 MB where it is imported: only here.
    from pypdf import PdfReader

    found, size = [], 0
    try:
        for page in PdfReader(path).pages[:PAGES_MAX]:
            found.append(page.extract_text())
            size += len(found[-1])
            if size > characters:
                break
    except Exception as error:
        # This process is the boundary: pypdf meets what is broken with whatever comes up. What was read until then is
        # better than nothing.
        if not found:
            raise NotAPicture("no readable PDF") from error
    return "\n".join(found)


def _clean(text: str, characters: int) -> str:
    """Return the beginning of a text as it can be stored: without NUL and lone surrogates, which PDFs may name."""
    return text[:characters].replace("\0", " ").encode("utf-8", "replace").decode()
