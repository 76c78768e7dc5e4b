-- Copyright (C) ngx_http_approval_module contributors
--
-- From now on nothing is asked for, nor taken, under this hash.
--
-- KEYS[1]    PREFIXfrozen
-- ARGV[3..]  hash, until (ms, 0: for ever), document
-- ok         it is frozen

local hash, till, doc = ARGV[3], tonumber(ARGV[4]), ARGV[5]
local ttl = redis.call('PTTL', FROZEN)

redis.call('HSET', FROZEN, hash, int(till) .. ' ' .. doc)

if till == 0 then
    redis.call('PERSIST', FROZEN)
elseif ttl ~= -1 then
    redis.call('PEXPIRE', FROZEN, int(math.max(ttl, till - now, 1)))
end

return answer('ok', { s = 'cancelled', c = 0, x = till, d = 0 })
