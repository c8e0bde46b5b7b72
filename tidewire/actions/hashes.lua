-- Returns the hashes of all keys in order, each as field, value, field, value, …; an empty one for a key that is not there.
-- KEYS: hashes. ARGV: none.
local found = {}
for place, key in ipairs(KEYS) do
  found[place] = redis.call('HGETALL', key)
end
return found
