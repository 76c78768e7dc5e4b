-- Copyright (C) ngx_http_approval_module contributors
--
-- From now on nothing is asked for, nor taken, under these hashes.
--
-- KEYS[1]    PREFIXfrozen
-- ARGV[3..]  hashes, until (ms, 0: for ever), document, "carry" where it is only
--            about what was frozen before under another hash than the first
-- ok         it is frozen
-- no         there is nothing to carry

local hashes, till, doc = ARGV[3], tonumber(ARGV[4]), ARGV[5]


local function carries()
    local found = false

    for hash in each(hashes) do
        if redis.call('HEXISTS', FROZEN, hash) == 1 then
            if hash == first(hashes) then
                return false
            end

            found = true
        end
    end

    return found
end


-- a key that cannot be one stops nobody from freezing

if not try('HLEN', FROZEN) then
    redis.call('DEL', FROZEN)
end

if ARGV[6] == 'carry' and not carries() then
    return answer('no', nil)
end

local ttl = redis.call('PTTL', FROZEN)

for hash in each(hashes) do
    redis.call('HSET', FROZEN, hash,
               int(till) .. ' ' .. (hash == first(hashes) and doc
                                    or '@' .. first(hashes)))
end

if till == 0 then
    redis.call('PERSIST', FROZEN)
elseif ttl ~= -1 then
    redis.call('PEXPIRE', FROZEN, int(math.max(ttl, till - now, 1)))
end

return answer('ok', { s = 'cancelled', c = 0, x = till, d = 0 })
