-- Copyright (C) ngx_http_approval_module contributors
--
-- What rules in mode shadow would have held on one day.
--
-- KEYS[1]    PREFIXshadow:YYYYMMDD: HASH, who and what, sealed; HASH:HH, how
--            often in that hour.  When there are more of them than max, those
--            that are new count together: rest:HH
-- ARGV[3..]  hash, hour, sealed, max, ttl (s); without them the day is read
-- ok         nothing, or all fields and values

local hash, hour, sealed = ARGV[3], ARGV[4], ARGV[5]

if not hash then
    return redis.call('HGETALL', key)
end

if redis.call('HEXISTS', key, hash) == 0 then
    if redis.call('HLEN', key) < tonumber(ARGV[6]) then
        redis.call('HSET', key, hash, sealed)
    else
        hash = 'rest'
    end
end

redis.call('HINCRBY', key, hash .. ':' .. hour, 1)
redis.call('EXPIRE', key, ARGV[7])

return {}
