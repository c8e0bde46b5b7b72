-- Notes that a process lives. Returns 1 if it was not known, Redis' clock in ms, and all processes with their heartbeats.
-- KEYS: the sorted set of heartbeats. ARGV: the process.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local added = redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[1])
return {added, now, redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')}
