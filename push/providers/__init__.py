"""One module for each carrier of pushes."""
