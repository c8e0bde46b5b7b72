-- Returns the gateway processes that live, then the hashes of the other keys in order, each as field, value, field,
-- value, …; an empty one for a key that is not there. Redis' clock counts, for hosts' clocks differ.
-- KEYS: the sorted set of heartbeats, hashes. ARGV: the age in ms of the oldest heartbeat of a process that lives.
local time = redis.call('TIME')
local oldest = time[1] * 1000 + math.floor(time[2] / 1000) - ARGV[1]
local found = {redis.call('ZRANGEBYSCORE', KEYS[1], string.format('%.0f', oldest), '+inf')}
for place = 2, #KEYS do
  found[place] = redis.call('HGETALL', KEYS[place])
end
return found
