-- Copyright (C) ngx_http_approval_module contributors
--
-- A connection no longer waits for the action.  If it was the last one, the
-- action may end.
--
-- ARGV[2..]  decision ('': the action stays open), retention, ticket ('': the
--            requester got none)
-- ok         s cancelled: the action ended
-- no         the action is not open

local decision, retention = ARGV[2], tonumber(ARGV[3])

local a = read(key)

if not a or (a.s ~= 'pending' and a.s ~= 'approved') then
    return refuse(a)
end

if ARGV[4] ~= '' then
    redis.call('HSET', key, 't', 1)
end

local others = wait(key, -1)

if others >= 0 then
    told(key, a)
end

if others < 0 and decision ~= ''
   and redis.call('HEXISTS', key, 't') == 0
   and redis.call('EXISTS', DECISION) == 0
   and not barred(a, 'cancelled')
then
    close(a, 'cancelled', decision, retention)
end

return ok(a)
