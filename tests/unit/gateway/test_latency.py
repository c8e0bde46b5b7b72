"""The histogram of delivery latency."""

from gateway.latency import Latency


def test_a_batch_is_counted_once_when_nothing_waits_any_more() -> None:
    now = [1000]
    latency = Latency(lambda: now[0])
    latency.flushed()  # of nothing: pings, replies
    assert latency.buckets()[-1] == ("+Inf", 0)
    latency.begin(997)
    latency.begin(999)  # joins the flush that is under way: the oldest counts
    latency.flushed()
    latency.flushed()
    latency.begin(1005)  # a clock that is ahead of ours
    latency.flushed()
    now[0] = 10_000
    latency.begin(1000)
    latency.flushed()
    counts = dict(latency.buckets())
    assert (counts["0.001"], counts["0.002"], counts["0.005"], counts["5"], counts["+Inf"]) == (1, 1, 2, 2, 3)
    assert latency.sum_ms == 9003
