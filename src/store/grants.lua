-- Copyright (C) ngx_http_approval_module contributors
--
-- The grants that are in force, the next to end first.
--
-- KEYS[1]  PREFIXgrants
-- ARGV[3]  limit
-- ok       a list of grants: i, s, x, G, b, u

local out = { 'ok', now }
local list = redis.call('ZRANGEBYSCORE', GRANTS, int(now), '+inf',
                        'WITHSCORES', 'LIMIT', 0, tonumber(ARGV[3]))

for n = 1, #list, 2 do
    local f = try('HMGET', grant_key(list[n]), 'a', 'b', 'u') or {}

    if f[1] and f[2] and #f[2] <= DOC_MAX then
        out[#out + 1] = { 'i', f[1], 's', 'approved', 'G', list[n],
                          'x', tonumber(list[n + 1]), 'b', f[2],
                          'u', tonumber(f[3] or 0) }
    end
end

return out
