"""Tools that put load on a Tidewire, or make it ready for load. Nothing here runs inside the server.

seed        users with sessions, a team and channels, written straight into the database
tokens      the file that seed writes
swarm       a compiled crowd of WebSocket clients, with a process of its own
firehose    a Locust suite: posts at a fixed rate, and how long they take to receivers
cli         `tidewire loadtest …`
"""
