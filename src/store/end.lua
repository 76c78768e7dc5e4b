-- Copyright (C) ngx_http_approval_module contributors
--
-- Stores which uses of a grant were made, for gateways that have not seen them.
--
-- KEYS[1]    end
-- ARGV[2..]  order (digits of equal length; the later statement has the greater
--            one), statement, ms
-- ok         this statement or a later one is stored

local order = ARGV[2]

if order > string.match(try('GET', KEYS[1]) or '', '^%d*') then
    redis.call('SET', KEYS[1], order .. ' ' .. ARGV[3], 'PX', ARGV[4])
end

return answer('ok', { s = 'approved', c = 0, x = 0, d = 0 })
