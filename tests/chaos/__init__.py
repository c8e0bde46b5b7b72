"""Processes die under load, and nothing acknowledged is missing: the product's promises 1 to 3 of ARCHITECTURE.md.

`--rounds N` repeats each fault; `make test` runs one of each, `make chaos` twenty.
"""
