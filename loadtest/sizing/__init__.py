"""From measured costs to processes, cores, memory and network of an installation.

costs    what one post, delivery, start … costs, and where that was measured: a file written by `loadtest run costs`
model    the arithmetic, line by line
text     the lines for a terminal and for docs/sizing.md
"""
