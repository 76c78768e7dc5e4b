-- Copyright (C) ngx_http_approval_module contributors
--
-- Gives up a call.  If the call is held, its holder watches the key and is
-- notified.  If the call arrives later, it finds the key for ARGV[2].
--
-- KEYS     for each hash of the call its key (a: the action) and its decision,
--          which is set if the call was given up
-- ARGV[2]  ms
-- ok       the state has no meaning

local name, left = KEYS[2], tonumber(ARGV[2])

for n = 1, #KEYS, 2 do
    local ttl = redis.call('PTTL', KEYS[n])

    if ttl > 0 then
        name, left = KEYS[n + 1], ttl
    end
end

redis.call('SET', name, 'cancelled', 'PX', int(left))

return answer('ok', { s = 'cancelled', c = 0, x = 0, d = 0 })
