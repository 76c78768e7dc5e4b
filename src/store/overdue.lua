-- Copyright (C) ngx_http_approval_module contributors
--
-- An action past its deadline that nobody settled.  It is handed out once in a
-- while, so that not all workers settle it at the same time.
--
-- ARGV[2]  ms until it is handed out again
-- ok       the action, without votes
-- no       it is none, or not due, or another worker has it

local a = read(key)
local open = a and PLACE[a.s] == 'o'
local score = redis.call('ZSCORE', PENDING, id)

if not score or tonumber(score) > now then
    return answer('no', nil)
end

if not open then
    redis.call('ZREM', PENDING, id)
    return answer('no', nil)
end

if due(a) > now then
    redis.call('ZADD', PENDING, due(a), id)
    return answer('no', nil)
end

local out = { 'ok', now }

redis.call('ZADD', PENDING, now + tonumber(ARGV[2]), id)

if not describe(out, false) then
    return answer('no', nil)
end

return out
