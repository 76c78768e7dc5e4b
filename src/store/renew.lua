-- Copyright (C) ngx_http_approval_module contributors
--
-- Renews the lease of an executing action.
--
-- ARGV[2..]  lease, retention
-- ok         renewed
-- no         it is no longer executing

local lease, retention = tonumber(ARGV[2]), tonumber(ARGV[3])

local a = read(key)

if not a or a.s ~= 'executing' then
    return answer('no', a)
end

redis.call('HSET', key, 'l', now + lease)
redis.call('ZADD', PENDING, now + lease, id)
extend(lease + retention)

return ok(a)
