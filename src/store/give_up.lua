-- Copyright (C) ngx_http_approval_module contributors
--
-- A call is given up.  Whoever holds it watches its key; one that comes later
-- than this finds it, for a moment.
--
-- KEYS[1]    PREFIXcalls
-- ARGV[3..]  hashes of the call, ms
-- ok         state means nothing

local name, left = call_key(first(ARGV[3])), tonumber(ARGV[4])

for hash in each(ARGV[3]) do
    local ttl = redis.call('PTTL', call_key(hash))

    if ttl > 0 then
        name, left = call_key(hash), ttl
    end
end

redis.call('SET', name .. DECISION, 'cancelled', 'PX', int(left))

return answer('ok', { s = 'cancelled', c = 0, x = 0, d = 0 })
