-- Move what is due from a target's retry set to its streams. Members begin with h or l, the stream; the rest is the job.
-- KEYS: 1 retry set, 2 high stream, 3 low stream. ARGV: 1 now in ms, 2 how many at most. Returns how many were moved.
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
for _, member in ipairs(due) do
    local stream = KEYS[2]
    if string.sub(member, 1, 1) == 'l' then
        stream = KEYS[3]
    end
    redis.call('XADD', stream, '*', 'd', string.sub(member, 2))
    redis.call('ZREM', KEYS[1], member)
end
return #due
