-- Copyright (C) ngx_http_approval_module contributors
--
-- Renews the lease of an action that is being executed.
--
-- ARGV[2..]  lease, retention
-- ok         renewed
-- no         it is not being executed any more

local lease, retention = tonumber(ARGV[2]), tonumber(ARGV[3])

local a = read(key)

if not a or a.s ~= 'executing' then
    return answer('no', a)
end

redis.call('HSET', key, 'l', int(now + lease))
redis.call('PEXPIRE', key, int(lease + retention))
redis.call('PEXPIRE', VOTES, int(lease + retention))
redis.call('ZADD', PENDING, int(now + lease), id)

keep(PENDING, lease + retention)
keep(INDEX, lease + retention)
keep(CLASSES, lease + retention)

return ok(a)
