"""Chat rules without servers."""
