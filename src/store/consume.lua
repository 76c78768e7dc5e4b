-- Copyright (C) ngx_http_approval_module contributors
--
-- Takes an approval, once.  The decision key must still contain the decision
-- that the caller has verified.  If the action is pending, the decision was not
-- written by vote.lua; the caller decides whether it accepts this.
--
-- KEYS[8..]  frozen, grants; the decision of the call, if there is a call; the
--            grant, if one is created
-- ARGV[2..]  decision, lease, retention, requester, policy, hash of the call
--            (or ''), and for a grant: its hash (or ''), time, uses, document
-- ok         taken; p
-- no         taken before, lapsed, or the decision key has another value;
--            w WHY.frozen: the requester or the policy is frozen
--            w WHY.given_up: the call was given up
--
-- Fields of a grant: a the approved action, b the sealed document, m allowed
-- uses (0: any number), u uses so far.

local decision = ARGV[2]
local lease, retention = tonumber(ARGV[3]), tonumber(ARGV[4])
local call, grant = ARGV[7], ARGV[8]
local FROZEN, GRANTS = KEYS[8], KEYS[9]

local a = read(key)

if a and (a.s == 'executing' or a.s == 'executed') then
    told(key, a)
end

local bar = barred(a, 'executing')

if bar then
    return bar
end

if decision == '' or redis.call('GET', DECISION) ~= decision then
    return refuse(a)
end

if frozen(FROZEN, ARGV[5], ARGV[6]) then
    return answer('no', a, 'w', WHY.frozen)
end

if call ~= '' and redis.call('EXISTS', KEYS[10]) == 1 then
    return answer('no', a, 'w', WHY.given_up)
end

local bare = a.s == 'pending'

if bare then
    a.d = now
end

leave(a)
ended()

local life = over(decision, retention)

enter(a, 'executing')

redis.call('HSET', key, 's', a.s, 'd', a.d, 'l', now + lease)
redis.call('ZADD', PENDING, now + lease, id)

if bare or life < lease + retention then
    extend(lease + retention)
end

if grant ~= '' then
    local name, time = KEYS[call ~= '' and 11 or 10], tonumber(ARGV[9])

    redis.call('DEL', name)
    redis.call('HSET', name, 'a', id, 'm', ARGV[10], 'b', ARGV[11])
    redis.call('PEXPIRE', name, int(time))

    redis.call('ZREMRANGEBYSCORE', GRANTS, '-inf', now)
    redis.call('ZADD', GRANTS, now + time, grant)
    keep(GRANTS, time)
end

return ok(a)
