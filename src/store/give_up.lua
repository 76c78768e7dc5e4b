-- Copyright (C) ngx_http_approval_module contributors
--
-- A call is given up.  Whoever holds it watches its key; one that comes later
-- than this finds it, for a moment.
--
-- KEYS     of each hash of the call its key (a: the action) and its decision:
--          where that is set, it was given up
-- ARGV[2]  ms
-- ok       state means nothing

local name, left = KEYS[2], tonumber(ARGV[2])

for n = 1, #KEYS, 2 do
    local ttl = redis.call('PTTL', KEYS[n])

    if ttl > 0 then
        name, left = KEYS[n + 1], ttl
    end
end

redis.call('SET', name, 'cancelled', 'PX', left)

return answer('ok', { s = 'cancelled', c = 0, x = 0, d = 0 })
