"""Measurements of the server's hot paths. Each module prints its conditions; nothing here is imported by the server.

fanout   events from Redis to 1,000 and 10,000 sockets, beside a plain C send() loop
posts    POST /posts: rate and CPU
machine  what the machine is, and whether it was quiet
"""
