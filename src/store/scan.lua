-- Copyright (C) ngx_http_approval_module contributors
--
-- What is due in a sorted set, or not yet over, by its score; what is to be
-- done with each is another script's, whose key it is.
--
-- KEYS[1]    pending, deliver, or grants
-- ARGV[2..]  limit, "due" or "ahead"
-- ok         member, score, ...

local from, to = '-inf', now

if ARGV[3] == 'ahead' then
    from, to = now, '+inf'
end

return { 'ok', now, redis.call('ZRANGEBYSCORE', KEYS[1], from, to,
                               'WITHSCORES', 'LIMIT', 0, tonumber(ARGV[2])) }
