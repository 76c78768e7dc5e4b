-- Copyright (C) ngx_http_approval_module contributors
--
-- Counts what rules in mode shadow would have held on one day.
--
-- KEYS[1]    PREFIXshadow:YYYYMMDD: HASH, requester and rule, sealed; HASH:HH,
--            the number in that hour.  If there are more than max fields, new
--            ones are counted together in rest:HH
-- ARGV[2..]  hash, hour, sealed, max, ttl (s); without them the day is read
-- returns    nothing, or all fields and values

local hash, hour, sealed = ARGV[2], ARGV[3], ARGV[4]

if not hash then
    return redis.call('HGETALL', KEYS[1])
end

if redis.call('HEXISTS', KEYS[1], hash) == 0 then
    if redis.call('HLEN', KEYS[1]) < tonumber(ARGV[5]) then
        redis.call('HSET', KEYS[1], hash, sealed)
    else
        hash = 'rest'
    end
end

redis.call('HINCRBY', KEYS[1], hash .. ':' .. hour, 1)
redis.call('EXPIRE', KEYS[1], ARGV[6])

return {}
