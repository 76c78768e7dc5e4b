-- Copyright (C) ngx_http_approval_module contributors
--
-- Messages about a pending action.
--
-- KEYS[8], deliver, holds what is to be sent: "ID:NAME" by when, or, while a
-- worker sends it, by when its lease is over and another one may.
-- KEYS[7] holds of each message: NAME its sealed payload, a:NAME
-- the attempts (who knows the number holds the lease), s:NAME how often it
-- was sent again, x:NAME that it is late; and f:STATE what is told of an
-- outcome.
--
-- NAMEs: m0 the request, e0 an escalation, r0 a reminder: only of a pending
-- action; o:STATE:NAME the outcome, to whom NAME was sent.
--
-- ARGV[2..]  lease, then of each message: name, payload, ms until it is due,
--            1 if the caller sends it now
-- ok         added
-- no         it is not pending

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

redis.call('PEXPIRE', queue, ttl)
keep(deliver, ttl)

return ok(a)
