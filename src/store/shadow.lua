-- Copyright (C) ngx_http_approval_module contributors
--
-- What rules in mode shadow would have held on one day.
--
-- KEYS[1]    PREFIXshadow:YYYYMMDD: HASH, who and what, sealed; HASH:HH, how
--            often in that hour.  When there are more of them than max, those
--            that are new count together: rest:HH
-- ARGV[2..]  hash, hour, sealed, max, ttl (s); without them the day is read
-- ok         nothing, or all fields and values

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
