-- Copyright (C) ngx_http_approval_module contributors
--
-- What all scripts begin with.
--
-- KEYS[1]  PREFIX{ID}, the action
-- ARGV[1]  PREFIX, ARGV[2]  ID; what follows is the script's own
--
-- The life of an action; nothing else is possible:
--
--   from       to         by       when
--   -          pending    create
--   pending    approved   vote     no decision yet, not overdue
--   pending    denied     vote     no decision yet, not overdue
--   pending    denied     settle   not overdue
--   pending    cancelled  settle   not overdue
--   pending    cancelled  leave    the last one, no decision yet, not overdue
--   pending    expired    settle   overdue
--   pending    executing  consume  not overdue, the decision key holds VALUE
--   approved   executing  consume  not lapsed, the decision key holds VALUE
--   approved   expired    settle   lapsed
--   executing  executed   finish
--   executing  failed     finish
--   executing  failed     settle   the lease is over
--
-- Fields: s state, x expires (pending: overdue at, later: lapses at),
-- d decided, l end of the lease, b the sealed document, o outcome, h how many
-- connections wait beside the first (-1: none does, absent: 0), t a ticket (202)
-- is out: whoever asks again takes it up,
-- k "created execute_within join per digest cool": each field costs memory, and
-- the digest stands there without "sha256:".
-- nk, nf messages that were sent, that were given up (see queue_done.lua).
-- Times are ms of Redis' clock.
--
-- An answer is {code, now, name, value, ...}: the names are those of the
-- fields, and i id, c created, g digest, D decision, V votes, j joined,
-- r recent, k and f: nk and nf, w why it was refused,
-- G a grant, u how often it was used.
--
-- Hashes come as a list, by spaces: what is made is stored under the first one,
-- what is looked for may be under any (see model/hash.h).
--
-- Who and what is frozen, PREFIXfrozen: hashes, and "UNTIL DOCUMENT" of each, 0
-- is for ever.  Under all hashes but the first the document is "@" and the first.
--
-- A grant, PREFIXgrant:{HASH}: a the approved action, b the sealed document,
-- m how often it may be used (0: any number), u how often it was.

-- A held MCP call that can be given up by its name, PREFIX{HASH}: a the action.
-- With PREFIX{HASH}:decision it was.

local prefix, id, key = ARGV[1], ARGV[2], KEYS[1]

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local DECISION, VOTES = ':decision', ':votes'
local PENDING, ACTIONS = prefix .. 'pending', prefix .. 'actions'
local GRANTS, FROZEN = prefix .. 'grants', prefix .. 'frozen'


-- What nobody who keeps to the rules stores: an action that has it cannot be
-- read, and the others can.

local DOC_MAX, TEXT_MAX, VOTES_MAX = 512 * 1024, 64 * 1024, 257


local function int(n)
    return string.format('%.0f', n)
end


-- nil: the key is of another type, and must not stop what else is to be done

local function try(...)
    local value = redis.pcall(...)

    if type(value) == 'table' and value.err then
        return nil
    end

    return value
end


local function each(hashes)
    return string.gmatch(hashes, '%S+')
end


local function first(hashes)
    return string.match(hashes, '^%S*')
end


local function action_key(action)
    return prefix .. '{' .. action .. '}'
end


local function recent_key(requester)
    return prefix .. 'recent:{' .. requester .. '}'
end


-- Requests in the last ten minutes are counted by the minute: what it costs
-- does not grow with their number.

local function recent(requester, trim)
    local begin, sum = math.floor(now / 60000) - 10, 0

    for hash in each(requester) do
        local counts = redis.call('HGETALL', recent_key(hash))

        for n = 1, #counts, 2 do
            if tonumber(counts[n]) > begin then
                sum = sum + tonumber(counts[n + 1])
            elseif trim then
                redis.call('HDEL', recent_key(hash), counts[n])
            end
        end
    end

    return sum
end


-- a key that several actions share lives as long as the last of them

local function keep(name, ms)
    if redis.call('PTTL', name) < ms then
        redis.call('PEXPIRE', name, int(ms))
    end
end


local function read(name)
    local f = try('HMGET', name, 's', 'x', 'd', 'l', 'k')

    if not f or not f[1] then
        return nil
    end

    local created, within, join, per, digest, cool =
        string.match(f[5] or '', '^(%d+) (%d+) (%S+) (%S+) (%S*) ?(%d*)$')

    if #(digest or '') == 64 then
        digest = 'sha256:' .. digest
    end

    return { s = f[1], x = tonumber(f[2]) or 0, d = tonumber(f[3]) or 0,
             l = tonumber(f[4]) or 0, c = tonumber(created or 0),
             g = digest, within = tonumber(within or 0),
             join = join ~= '-' and join or nil,
             per = per ~= '-' and per or nil,
             cool = tonumber(cool ~= '' and cool or 0) }
end


local function answer(code, a, ...)
    local out = { code, now }

    if a then
        out = { code, now, 's', a.s, 'c', a.c, 'x', a.x, 'd', a.d, ... }
    end

    return out
end


-- what stands in the decision key; set by hand, it may lack a TTL

local function decided(name)
    local decision = try('GET', name .. DECISION)

    if decision and #decision > TEXT_MAX then
        return nil
    end

    if decision and redis.call('PTTL', name .. DECISION) == -1 then
        redis.call('PEXPIRE', name .. DECISION,
                   int(math.max(redis.call('PTTL', name), 60000)))
    end

    return decision
end


-- who should have been told of an action was not: the next ones are told now

local function untold(queue)
    redis.call('HINCRBY', key, 'nf', 1)

    for _, other in ipairs(redis.call('HKEYS', queue)) do
        if string.match(other, '^e%d+$')
           and redis.call('HEXISTS', queue, 'a:' .. other) == 0
        then
            redis.call('ZADD', prefix .. 'deliver', 'XX', int(now),
                       id .. ':' .. other)
        end
    end
end


-- done, or refused: a refusal shows what was decided

local function ok(a)
    return answer('ok', a)
end


local function refuse(a)
    local decision = decided(key)

    if a and decision then
        return answer('no', a, 'D', decision)
    end

    return answer('no', a)
end


local function join_key(hash)
    return prefix .. 'join:{' .. hash .. '}'
end


local function cool_key(hash)
    return prefix .. 'cool:{' .. hash .. '}'
end


-- like that of an action: who holds the call watches it like a decision

local function call_key(hash)
    return action_key(hash)
end


local function frozen(requester, policy)
    for hash in each(requester .. ' ' .. policy) do
        local f = redis.call('HGET', FROZEN, hash)
        local till = f and tonumber(string.match(f, '^(%d+) '))

        if f and till and till > 0 and now >= till then
            redis.call('HDEL', FROZEN, hash)
        elseif f then
            return true
        end
    end

    return false
end


local function grant_key(hash)
    return prefix .. 'grant:{' .. hash .. '}'
end


local function per_key(hash)
    return prefix .. 'per:{' .. hash .. '}'
end


-- no longer open: cannot be joined, does not count for its requester

local function leave(a)
    if a.join and try('GET', join_key(a.join)) == id then
        redis.call('DEL', join_key(a.join))
    end

    if a.per then
        try('ZREM', per_key(a.per), id)
    end
end


-- one more waits, or one fewer; returns how many beside the first

local function wait(name, n)
    local others = redis.call('HINCRBY', name, 'h', n)

    if others == 0 then
        redis.call('HDEL', name, 'h')
    end

    return others
end


local function approve(a, decision, retention)
    local within = a.within

    a.s, a.d, a.x = 'approved', now, now + within

    redis.call('HSET', key, 's', a.s, 'd', int(a.d), 'x', int(a.x))
    redis.call('PEXPIRE', key, int(within + retention))
    redis.call('PEXPIRE', key .. VOTES, int(within + retention))
    redis.call('SET', key .. DECISION, decision, 'PX', int(within))

    redis.call('ZADD', PENDING, int(a.x), id)
    keep(PENDING, within + retention)
    keep(ACTIONS, within + retention)

    if a.join and redis.call('GET', join_key(a.join)) == id then
        redis.call('PEXPIRE', join_key(a.join), int(within))
    end

    if a.per then
        redis.call('ZADD', per_key(a.per), int(a.x), id)
        keep(per_key(a.per), within)
    end
end


-- any terminal state; without a decision the one that stands is kept

local function close(a, state, decision, retention)
    if a.s ~= 'executing' then
        a.d = now
        leave(a)
    end

    a.s = state

    redis.call('HSET', key, 's', a.s, 'd', int(a.d))
    redis.call('HDEL', key, 'l')
    redis.call('PEXPIRE', key, int(retention))
    redis.call('PEXPIRE', key .. VOTES, int(retention))
    keep(ACTIONS, retention)

    if state == 'denied' and a.join and a.cool > 0 then
        redis.call('SET', cool_key(a.join), id, 'PX', int(a.cool))
    end

    if decision ~= '' then
        redis.call('SET', key .. DECISION, decision, 'PX', int(retention))
    else
        redis.call('PEXPIRE', key .. DECISION, int(retention))
    end

    try('ZREM', PENDING, id)
end


-- no more than are read, and not more of each than one has

local function votes_of(name)
    local votes = try('LRANGE', name .. VOTES, 0, VOTES_MAX - 1) or {}
    local size = 0

    for n, vote in ipairs(votes) do
        size = size + #vote

        if size > DOC_MAX then
            votes[n] = ''
        end
    end

    return votes
end


-- the whole of an action, by its id, as pairs at the end of a list

local function describe(out, action, votes)
    local name = action_key(action)
    local a = read(name)

    if not a then
        return false
    end

    local function put(field, value)
        if value then
            out[#out + 1] = field
            out[#out + 1] = value
        end
    end

    local f = redis.call('HMGET', name, 'b', 'o', 'h', 't')

    if #(f[1] or '') > DOC_MAX or #(f[2] or '') > TEXT_MAX then
        return false
    end

    put('i', action)
    put('s', a.s)
    put('c', a.c)
    put('x', a.x)
    put('d', a.d)
    put('g', a.g)
    put('b', f[1])
    put('o', f[2])
    put('h', not f[4] and tonumber(f[3] or nil))
    put('D', decided(name))

    local told = redis.call('HMGET', name, 'nk', 'nf')

    if told[1] or told[2] then
        put('k', tonumber(told[1] or 0))
        put('f', tonumber(told[2] or 0))
    end

    if votes then
        put('V', votes_of(name))
    end

    return true
end


