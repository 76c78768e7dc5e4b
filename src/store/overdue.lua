-- Copyright (C) ngx_http_approval_module contributors
--
-- Returns an action that is past its deadline and was not settled.  It is given
-- to one worker at a time, so that not all workers settle it at once.
--
-- ARGV[2]  ms until another worker may get it
-- ok       the action, without votes
-- no       there is no such action, it is not due, or another worker has it

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
