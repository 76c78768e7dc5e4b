-- Copyright (C) ngx_http_approval_module contributors
--
-- What of a grant was used, for gateways that have not seen it.
--
-- KEYS[1]    end
-- ARGV[2..]  which statement is the later one, as digits of equal length;
--            the statement, ms
-- ok         it stands there, or a later one does

local order = ARGV[2]

if order > string.match(try('GET', KEYS[1]) or '', '^%d*') then
    redis.call('SET', KEYS[1], order .. ' ' .. ARGV[3], 'PX', ARGV[4])
end

return answer('ok', { s = 'approved', c = 0, x = 0, d = 0 })
