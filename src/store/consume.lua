-- Copyright (C) ngx_http_approval_module contributors
--
-- Takes an approval, once.  The caller has verified the decision: the key must
-- still hold it.  In a pending action it was put there by somebody else than
-- vote.lua, which the caller may accept.
--
-- ARGV[3..]  decision, lease, retention, requester, policy, hash of the call
--            (''), and for a grant: its hash, time, uses, document
-- ok         taken
-- no         taken before, lapsed, or the decision key holds something else;
--            w frozen: the requester or the policy is
--            w given up: the call was

local decision = ARGV[3]
local lease, retention = tonumber(ARGV[4]), tonumber(ARGV[5])
local call, grant = ARGV[8] or '', ARGV[9] or ''

local a = read(key)

if not a or (a.s ~= 'pending' and a.s ~= 'approved') then
    return refuse(a)
end

if now >= a.x then
    a.s = 'expired'
    return refuse(a)
end

if decision == '' or redis.call('GET', key .. DECISION) ~= decision then
    return refuse(a)
end

if frozen(ARGV[6] or '', ARGV[7] or '') then
    return answer('no', a, 'w', 'frozen')
end

if call ~= '' and redis.call('EXISTS', call_key(call) .. DECISION) == 1 then
    return answer('no', a, 'w', 'given up')
end

if a.s == 'pending' then
    a.d = now
end

leave(a)

a.s = 'executing'

redis.call('HSET', key, 's', a.s, 'd', int(a.d), 'l', int(now + lease))
redis.call('PEXPIRE', key, int(lease + retention))
redis.call('PEXPIRE', key .. VOTES, int(lease + retention))
redis.call('PEXPIRE', key .. DECISION, int(lease + retention))

redis.call('ZADD', PENDING, int(now + lease), id)
keep(PENDING, lease + retention)
keep(ACTIONS, lease + retention)

if grant ~= '' then
    local name, time = grant_key(grant), tonumber(ARGV[10])

    redis.call('DEL', name)
    redis.call('HSET', name, 'a', id, 'm', ARGV[11], 'b', ARGV[12])
    redis.call('PEXPIRE', name, int(time))

    redis.call('ZREMRANGEBYSCORE', GRANTS, '-inf', int(now))
    redis.call('ZADD', GRANTS, int(now + time), grant)
    keep(GRANTS, time)
end

return ok(a)
