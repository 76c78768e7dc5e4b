-- Copyright (C) ngx_http_approval_module contributors
--
-- What all scripts begin with.
--
-- KEYS: every key that the script touches; all of them are in one slot, since
-- they have the same hash tag, the shard.
-- ARGV[1]  the action's id, or ''; what follows is the script's own
--
-- An answer is {code, now, name, value, ...}: s state, x expires, d decided,
-- c created, i id, b document, o outcome, D decision, V votes,
-- j joined, r recent, k and f: nk and nf, w why it was refused (WHY),
-- G a grant, u how often it was used, L what is known of ends (see said()),
-- O ids that stand under the join hashes,
-- p where it counted for approval_max_pending, and does not any more.
-- Times are ms of Redis' clock.
--
-- Hashes come as a list, by spaces: what is made is stored under the first one,
-- what is looked for may be under any (see model/hash.h).

local id = ARGV[1]

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)


-- What nobody who keeps to the rules stores: an action that has it cannot be
-- read, and the others can.

local DOC_MAX, TEXT_MAX, VOTES_MAX = 512 * 1024, 64 * 1024, 257


-- nil: the key is of another type, and must not stop what else is to be done

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


-- a key that several actions share lives as long as the last of them: returns
-- for how long

local function keep(name, ms)
    local left = redis.call('PTTL', name)

    if left < ms then
        redis.call('PEXPIRE', name, ms)
        left = ms
    end

    return left
end


-- What stands here of ends, for the gateway to verify: kind, id, statement.

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


-- What a requester asked for is a list, oldest first: created, id, and the time
-- (s) at which the action is gone.  How many, at its end, are from then on?

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


-- requests of the last ten minutes

local function recent(name)
    return newer(name, stamp(now - 600000))
end


-- Who and what is frozen: hashes, and "UNTIL DOCUMENT" of each, 0 is for ever.
-- The document of a freeze that was lifted has a "-" before it.  Under all
-- hashes but the first the document is "@" and the first.

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


-- Actions that count for approval_max_pending or approval_max_prompts.  Where
-- there are too many: when the first of them is over at the latest.

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


