-- Copyright (C) ngx_http_approval_module contributors
--
-- A new action, or the open one under the same join hash.
--
-- ARGV[3..]  join, requester, per, max_pending, digest, doc, timeout,
--            execute_within, retention; join and per may be empty
-- ok         s c x d r j, i; D where it was joined and is decided
-- busy       per has max_pending open actions

local join, requester, per = ARGV[3], ARGV[4], ARGV[5]
local max, digest, doc = tonumber(ARGV[6]), ARGV[7], ARGV[8]
local timeout, within = tonumber(ARGV[9]), tonumber(ARGV[10])
local retention = tonumber(ARGV[11])


-- Requests in the last ten minutes are counted by the minute: what it costs
-- does not grow with their number.

local function recent(add)
    if requester == '' then
        return 0
    end

    local name = prefix .. 'recent:{' .. requester .. '}'
    local minute = math.floor(now / 60000)

    if add then
        redis.call('HINCRBY', name, int(minute), 1)
        redis.call('PEXPIRE', name, 660000)
    end

    local counts, sum = redis.call('HGETALL', name), 0

    for n = 1, #counts, 2 do
        if tonumber(counts[n]) > minute - 10 then
            sum = sum + tonumber(counts[n + 1])
        else
            redis.call('HDEL', name, counts[n])
        end
    end

    return sum
end


local function joined(other, a)
    local decision = redis.call('GET', action_key(other) .. DECISION)
    local out = answer('ok', a, 'i', other, 'r', recent(false),
                       'j', other == id and 0 or 1)

    if decision then
        out[#out + 1] = 'D'
        out[#out + 1] = decision
    end

    return out
end


-- what is older than all that is kept of it: a few at a time

local function trim()
    local old = redis.call('ZRANGEBYSCORE', ACTIONS, '-inf',
                           int(now - retention), 'LIMIT', 0, 4)

    for _, action in ipairs(old) do
        if redis.call('EXISTS', action_key(action)) == 0 then
            redis.call('ZREM', ACTIONS, action)
        end
    end
end


local a = read(key)

if a then
    return joined(id, a)
end

if join ~= '' then
    local other = redis.call('GET', join_key(join))
    a = other and read(action_key(other))

    if a and (a.s == 'pending' or a.s == 'approved') and now < a.x then
        return joined(other, a)
    end
end

local whole = timeout + within

if per ~= '' and max > 0 then
    redis.call('ZREMRANGEBYSCORE', per_key(per), '-inf', int(now))

    if redis.call('ZCARD', per_key(per)) >= max then
        return answer('busy', nil)
    end
end

a = { s = 'pending', c = now, x = now + timeout, d = 0 }

redis.call('HSET', key, 's', a.s, 'x', int(a.x), 'b', doc,
           'k', table.concat({ int(a.c), int(within),
                               join ~= '' and join or '-',
                               per ~= '' and per or '-', digest }, ' '))
redis.call('PEXPIRE', key, int(whole + retention))

redis.call('ZADD', PENDING, int(a.x), id)
keep(PENDING, whole + retention)

redis.call('ZADD', ACTIONS, int(now), id)
keep(ACTIONS, whole + retention)
trim()

if join ~= '' then
    redis.call('SET', join_key(join), id, 'PX', int(whole))
end

if per ~= '' then
    redis.call('ZADD', per_key(per), int(now + whole), id)
    keep(per_key(per), whole)
end

return answer('ok', a, 'i', id, 'r', recent(true), 'j', 0)
