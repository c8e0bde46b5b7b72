"""Events between processes: what an announcement is (envelope), what the bus promises (contract), Redis, memory.

Knows Redis and bytes; knows nothing of chat rules, SQL or sockets of clients.
"""
