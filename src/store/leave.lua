-- Copyright (C) ngx_http_approval_module contributors
--
-- A requester does not wait any more; with the last one its action may end.
--
-- ARGV[2..]  decision ('': the action stays open), retention, ticket ('': it
--            was given none to come back with)
-- ok         s cancelled: it ended
-- no         it is not open

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
