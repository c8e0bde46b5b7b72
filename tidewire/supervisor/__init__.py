"""`tidewire serve`: every part of Tidewire on one machine, as child processes.

guard     two processes, so that the death of either ends everything
layout    the data directory: who may use it, what lies where
serve     what runs, in which order, and what is told to the user
child     one child process: start, watch, restart, stop
processes the kernel's process table: strays and leftovers
balancer  Caddy's configuration
scrape    one /metrics for all
"""
