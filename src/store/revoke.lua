-- Copyright (C) ngx_http_approval_module contributors
--
-- Ends a grant.
--
-- KEYS[1]  grant,  KEYS[2]  grants
-- ARGV[2]  its hash
-- ok       it ended;  no  there is none

local action = redis.call('HGET', KEYS[1], 'a')

redis.call('ZREM', KEYS[2], ARGV[2])

if redis.call('DEL', KEYS[1]) == 0 then
    return answer('no', nil)
end

return answer('ok', { s = 'approved', c = 0, x = 0, d = 0 }, 'i', action)
