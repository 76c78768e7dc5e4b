-- Copyright (C) ngx_http_approval_module contributors
--
-- Renews the leases of actions that are being executed.
--
-- KEYS[1]    PREFIXpending
-- ARGV[3..]  lease, retention, id...
-- ok         ids that are not being executed any more

local lease, retention = tonumber(ARGV[3]), tonumber(ARGV[4])

local out = { 'ok', now }

for n = 5, #ARGV do
    local name = action_key(ARGV[n])

    if redis.call('HGET', name, 's') == 'executing' then
        redis.call('HSET', name, 'l', int(now + lease))
        redis.call('PEXPIRE', name, int(lease + retention))
        redis.call('PEXPIRE', name .. VOTES, int(lease + retention))
        redis.call('ZADD', PENDING, int(now + lease), ARGV[n])
    else
        out[#out + 1] = ARGV[n]
    end
end

keep(PENDING, lease + retention)
keep(ACTIONS, lease + retention)

return out
