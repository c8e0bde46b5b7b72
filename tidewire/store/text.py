"""Text that people search for, as patterns for LIKE. Pure functions."""

TERM_MAX = 100  # characters of a term that are looked at


def like(term: str) -> str:
    """Return the term in lower case for LIKE, standing for nothing but itself."""
    lowered = term.strip().lower()[:TERM_MAX]
    return lowered.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def contains_pattern(term: str) -> str:
    """Return a pattern for what holds the term anywhere."""
    return f"%{like(term)}%"
