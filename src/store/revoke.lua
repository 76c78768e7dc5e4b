-- Copyright (C) ngx_http_approval_module contributors
--
-- Ends a grant.
--
-- KEYS[1]  grant,  KEYS[2]  grants,  KEYS[3]  end
-- ARGV[2..]  its hash; order (or ''), statement and ms as in end.lua
-- ok         it ended
-- no         there is none

local action = try('HGET', KEYS[1], 'a')

redis.call('ZREM', KEYS[2], ARGV[2])

if ARGV[3] ~= '' then
    redis.call('SET', KEYS[3], ARGV[3] .. ' ' .. ARGV[4], 'PX', ARGV[5])
end

if redis.call('DEL', KEYS[1]) == 0 or not action then
    return answer('no', nil)
end

return answer('ok', { s = 'approved', c = 0, x = 0, d = 0 }, 'i', action)
