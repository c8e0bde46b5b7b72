"""Tools that put load on a Tidewire, or make it ready for load. Nothing here runs inside the server.

seed        users with sessions, teams, channels and posts, written straight into the database (shapes: who is where;
            history: who wrote what); purge takes them away; tokens: the file of users; logins: who
            logs in instead
swarm       a compiled crowd of WebSocket clients, with a process of its own; bridge: its figures in Locust's
firehose    a Locust suite: posts at a fixed rate, and how long they take to receivers
storm       a Locust suite: everybody reconnects
users       a Locust suite: simulated people (people/); soak: the same for hours, and what grows meanwhile (growth)
push        a Locust suite: notifications through a push proxy
costs       a Locust suite: what a post, a delivery, a start … cost the server; sizing: what follows from that
capacity    runs with more and more users until a target breaks
suite       what every suite does beside its load: checks (preflight), limits (targets); report: what a run leaves;
           last_words: what workers say at the end
timeline    what a run measured second by second, for its report
runner      a suite with what it needs; cli: `tidewire loadtest …`
"""
