-- Copyright (C) ngx_http_approval_module contributors
--
-- Ends a freeze, with all hashes under which it stands: also those of keys that
-- were removed meanwhile, which nobody can name any more.
--
-- KEYS[1]  frozen
-- ARGV[2]  hashes
-- ok       it is frozen no more;  no  it was not

local function meant(hash, value)
    return string.match(value or '', '^%d+ @(%x+)$') or hash
end


local ends = {}

for hash in each(ARGV[2]) do
    local value = redis.call('HGET', KEYS[1], hash)

    if value then
        ends[meant(hash, value)] = true
    end
end

if not next(ends) then
    return answer('no', nil)
end

local list = redis.call('HGETALL', KEYS[1])

for n = 1, #list, 2 do
    if ends[meant(list[n], list[n + 1])] then
        redis.call('HDEL', KEYS[1], list[n])
    end
end

return answer('ok', { s = 'cancelled', c = 0, x = 0, d = 0 })
