-- Copyright (C) ngx_http_approval_module contributors
--
-- Adds messages about a pending action.
--
-- KEYS[8], deliver, contains the messages to send: "ID:NAME", scored by the
-- time at which it is due.  While a worker sends it, the score is the end of
-- its lease, after which another worker may send it.
-- KEYS[7] contains for each message: NAME its sealed payload, a:NAME the number
-- of attempts (the worker that knows it has the lease), s:NAME how often the
-- message was sent again, x:NAME if it is late; and f:STATE the facts about an
-- outcome.
--
-- NAMEs: m0 the request, e0 an escalation, r0 a reminder, all of them only for
-- pending actions; o:STATE:NAME the outcome, to the recipient of NAME.
--
-- ARGV[2..]  lease, then for each message: name, payload, ms until it is due,
--            1 if the caller sends it now
-- ok         added
-- no         the action is not pending

local lease = tonumber(ARGV[2])
local a = read(key)

if not a or a.s ~= 'pending' then
    return answer('no', a)
end

local ttl = redis.call('PTTL', key)
local queue, deliver = KEYS[7], KEYS[8]

for n = 3, #ARGV, 4 do
    local name, due = ARGV[n], tonumber(ARGV[n + 2])

    redis.call('HSET', queue, name, ARGV[n + 1])

    if ARGV[n + 3] == '1' then
        redis.call('HSET', queue, 'a:' .. name, 1)
        due = lease
    end

    redis.call('ZADD', deliver, now + due, id .. ':' .. name)
end

redis.call('PEXPIRE', queue, int(ttl))
keep(deliver, ttl)

return ok(a)
