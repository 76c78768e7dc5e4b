-- Copyright (C) ngx_http_approval_module contributors
--
-- Actions past their deadline that nobody settled.  Each is handed out once in
-- a while, so that not all workers settle it at the same time.
--
-- KEYS[1]    PREFIXpending
-- ARGV[3..]  limit, ms until it is handed out again
-- ok         a list of actions, without votes

local limit, again = tonumber(ARGV[3]), tonumber(ARGV[4])

local out = { 'ok', now }
local ids = redis.call('ZRANGEBYSCORE', PENDING, '-inf', int(now),
                       'LIMIT', 0, limit)

for _, action in ipairs(ids) do
    local a = read(action_key(action))
    local open = a and (a.s == 'pending' or a.s == 'approved'
                        or a.s == 'executing')
    local due = a and (a.s == 'executing' and a.l or a.x)

    if not open then
        redis.call('ZREM', PENDING, action)

    elseif due > now then
        redis.call('ZADD', PENDING, int(due), action)

    else
        local entry = {}

        redis.call('ZADD', PENDING, int(now + again), action)

        if describe(entry, action, false) then
            out[#out + 1] = entry
        end
    end
end

return out
