"""Whole runs of `tidewire serve`, as a user starts and ends them."""
