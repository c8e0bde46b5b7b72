"""Tools that put load on a Tidewire, or make it ready for load. Nothing here runs inside the server.

seed        users with sessions, a team and channels, written straight into the database
firehose    a Locust suite: posts at a fixed rate, and how long they take to receivers
cli         `tidewire loadtest …`
"""
