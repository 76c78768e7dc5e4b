-- Copyright (C) ngx_http_approval_module contributors
--
-- Lists members of a sorted set by their score: those that are due, or those
-- whose time is still ahead.  Another script, which knows the key of the
-- member, then processes each.
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
