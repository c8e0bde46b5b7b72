"""Chat rules, one verb per function: check, write, announce. Knows no HTTP and no sockets."""
