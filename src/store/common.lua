-- Copyright (C) ngx_http_approval_module contributors
--
-- The beginning of all scripts.
--
-- KEYS: every key that the script touches.  All of them have the same hash tag,
-- the shard, so they are in one slot.
-- ARGV[1]  the action's id, or ''; each script defines the others
--
-- A reply is {code, now, name, value, ...}: s state, x expires, d decided,
-- c created, i id, b document, o outcome, D decision, V votes,
-- j joined, r recent, k and f: nk and nf, w cause of the refusal (WHY),
-- G a grant, u number of its uses, L statements about ends (see said()),
-- O ids stored under the join hashes, a 1 if the action is not announced,
-- p counter of approval_max_pending that the action must now leave.
-- Times are ms of Redis' clock.
--
-- Hashes come as a list, separated by spaces.  New data is stored under the
-- first hash; existing data may be under any of them (see model/hash.h).

local id = ARGV[1]

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)


-- Limits that only foreign data exceeds: such an action cannot be read, but all
-- others can.

local DOC_MAX, TEXT_MAX, VOTES_MAX = 512 * 1024, 64 * 1024, 257


-- Redis 7.2.0 to 7.2.4 writes some whole numbers as "1e+8", which is no lifetime.

local function int(n)
    return string.format('%.0f', n)
end


-- nil: the key has another type, which must not stop the rest of the script

local function try(...)
    local value = redis.pcall(...)

    if type(value) == 'table' and value.err then
        return nil
    end

    return value
end


-- a time that sorts as text

local function stamp(ms)
    return string.format('%013.0f', ms)
end


local function each(hashes)
    return string.gmatch(hashes, '%S+')
end


local function first(hashes)
    return string.match(hashes, '^%S*')
end


-- a key that several actions share lives as long as the last of them; returns
-- its TTL

local function keep(name, ms)
    local left = redis.call('PTTL', name)

    if left < ms then
        redis.call('PEXPIRE', name, int(ms))
        left = ms
    end

    return left
end


-- Statements about ends that Redis stores, for the gateway to verify: kind, id,
-- statement.

local ENDS = {}

local function said(kind, name, statement)
    if statement and #statement <= TEXT_MAX then
        for _, word in ipairs({ kind, name, statement }) do
            ENDS[#ENDS + 1] = word
        end
    end
end


local function answer(code, a, ...)
    if not a then
        return { code, now }
    end

    local out = { code, now, 's', a.s, 'c', a.c, 'x', a.x, 'd', a.d, ... }

    if a.left then
        out[#out + 1] = 'p'
        out[#out + 1] = a.left
    end

    if ENDS[1] then
        out[#out + 1] = 'L'
        out[#out + 1] = ENDS
    end

    return out
end


-- A requester's actions are a list, oldest first: created, id, and the time (s)
-- at which the action is gone.  Returns how many were created at "from" or
-- later.

local function newer(name, from)
    local length, found, step = redis.call('LLEN', name), 0, 1

    while found + step <= length
          and redis.call('LINDEX', name, -(found + step)) >= from
    do
        found, step = found + step, step * 2
    end

    local older = math.min(found + step, length + 1)

    while older - found > 1 do
        local middle = math.floor((found + older) / 2)

        if redis.call('LINDEX', name, -middle) >= from then
            found = middle
        else
            older = middle
        end
    end

    return found
end


-- the number of requests in the last ten minutes

local function recent(name)
    return newer(name, stamp(now - 600000))
end


-- Freezes are a hash: field HASH, value "UNTIL DOCUMENT"; UNTIL 0 is for ever.
-- If the freeze was lifted, a "-" precedes the document.  If the requester or
-- policy has several hashes, only the first has the document, and the others
-- have "@" and the first hash instead.

local function freeze_of(name, hash)
    local f = redis.call('HGET', name, hash)
    local till, doc = string.match(f or '', '^(%d+) (.*)$')

    if till and till ~= '0' and now >= tonumber(till) then
        redis.call('HDEL', name, hash)
        return nil
    end

    return f and (doc or f)
end


local function frozen(name, requester, policy)
    local found = false

    for hash in each(requester .. ' ' .. policy) do
        local doc = freeze_of(name, hash)

        if doc and string.sub(doc, 1, 1) == '@' then
            hash = string.sub(doc, 2)
            doc = freeze_of(name, hash) or doc
        end

        if doc and string.sub(doc, 1, 1) == '-' then
            said('f', hash, string.sub(doc, 2))
        elseif doc then
            said('f', hash, doc)
            found = true
        end
    end

    return found
end


-- Counts an action for approval_max_pending or approval_max_prompts.  If the
-- limit is reached, it returns the latest time at which the first of the
-- counted actions ends.

local function reserve(names, ms, max)
    local open, over = 0, now + ms

    for _, name in ipairs(names) do
        redis.call('ZREMRANGEBYSCORE', name, '-inf', now)
        open = open + redis.call('ZCARD', name)

        local first = redis.call('ZRANGE', name, 0, 0, 'WITHSCORES')
        over = math.min(over, tonumber(first[2] or over))
    end

    if open >= max then
        return false, over
    end

    redis.call('ZADD', names[1], now + ms, id)
    keep(names[1], ms)

    return true
end


