-- Copyright (C) ngx_http_approval_module contributors
--
-- Freezes a requester or a policy: from now on no action is created and no
-- approval is taken under these hashes.
--
-- KEYS[1]    frozen
-- ARGV[2..]  hashes, until (ms, 0: for ever), document, and why: "" a new
--            freeze, "carry" a freeze that is stored under another hash than
--            the first, "spread" a freeze that is stored in another shard
-- ok         it is frozen now
-- no         it was frozen already, or there is no freeze to carry

local hashes, till, doc = ARGV[2], tonumber(ARGV[3]), ARGV[4]


local function carries()
    local found = false

    for hash in each(hashes) do
        if redis.call('HEXISTS', KEYS[1], hash) == 1 then
            if hash == first(hashes) then
                return false
            end

            found = true
        end
    end

    return found
end


-- a key of another type must not prevent a freeze

if not try('HLEN', KEYS[1]) then
    redis.call('DEL', KEYS[1])
end

if ARGV[5] == 'carry' and not carries()
   or ARGV[5] == 'spread' and redis.call('HEXISTS', KEYS[1], first(hashes)) == 1
then
    return answer('no', nil)
end

local ttl = redis.call('PTTL', KEYS[1])

for hash in each(hashes) do
    redis.call('HSET', KEYS[1], hash,
               int(till) .. ' ' .. (hash == first(hashes) and doc
                                                or '@' .. first(hashes)))
end

if till == 0 then
    redis.call('PERSIST', KEYS[1])
elseif ttl ~= -1 then
    redis.call('PEXPIRE', KEYS[1], int(math.max(ttl, till - now, 1)))
end

return answer('ok', { s = 'cancelled', c = 0, x = till, d = 0 })
