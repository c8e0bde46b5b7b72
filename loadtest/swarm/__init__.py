"""The swarm: tens of thousands of WebSocket clients in one process without gevent or uvloop. See docs/loadtest.md.

reading     what a frame says (compiled; plain C, no sockets)          reference   its plain-Python twin
crowd       the sockets: connect, log in, resume, read, ping (compiled)
wire        what a child and its parent say to each other              histogram   latencies in buckets
child       one process of the swarm                                   herd        all of them, from the parent's side
__main__    `python -m loadtest.swarm …`: alone, with JSON output
"""
