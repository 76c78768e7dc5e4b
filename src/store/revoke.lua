-- Copyright (C) ngx_http_approval_module contributors
--
-- Ends a grant.
--
-- KEYS[1]  PREFIXgrants
-- ARGV[3]  its hash
-- ok       it ended;  no  there is none

local action = redis.call('HGET', grant_key(ARGV[3]), 'a')

redis.call('ZREM', GRANTS, ARGV[3])

if redis.call('DEL', grant_key(ARGV[3])) == 0 then
    return answer('no', nil)
end

return answer('ok', { s = 'approved', c = 0, x = 0, d = 0 }, 'i', action)
