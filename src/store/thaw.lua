-- Copyright (C) ngx_http_approval_module contributors
--
-- Lifts a freeze under all hashes under which it is stored, including those by
-- keys that were removed from the configuration.  A document that states this
-- replaces the freeze, for gateways that have seen it.
--
-- KEYS[1]    frozen
-- ARGV[2..]  hashes, document, its TTL in ms at least, and not '' if the
--            gateway knows a freeze that may be missing here
-- ok         the freeze is lifted
-- no         there was none

local hashes, doc = ARGV[2], ARGV[3]
local till = now + tonumber(ARGV[4])
local all, ends, named = {}, {}, {}

local list = redis.call('HGETALL', KEYS[1])

for n = 1, #list, 2 do
    all[list[n]] = list[n + 1]
end


local function meant(hash)
    return string.match(all[hash] or '', '^%d+ @(%x+)$') or hash
end


for hash in each(hashes) do
    local value = all[meant(hash)]

    if value and not string.match(value, '^%d+ %-') then
        ends[meant(hash)] = true
    end

    named[hash] = true
end

if not next(ends) and ARGV[5] == '' then
    return answer('no', nil)
end

for hash, value in pairs(all) do
    if ends[meant(hash)] then
        named[hash] = true
        till = math.max(till, tonumber(string.match(value, '^%d+') or 0))
    end
end

for hash in pairs(named) do
    all[hash] = int(till) .. ' '
                .. (hash == first(hashes) and '-' .. doc
                    or '@' .. first(hashes))
    redis.call('HSET', KEYS[1], hash, all[hash])
end

for _, value in pairs(all) do
    local ms = tonumber(string.match(value, '^%d+') or 0)

    if ms == 0 then
        return answer('ok', { s = 'cancelled', c = 0, x = till, d = 0 })
    end

    till = math.max(till, ms)
end

redis.call('PEXPIRE', KEYS[1], int(till - now))

return answer('ok', { s = 'cancelled', c = 0, x = till, d = 0 })
