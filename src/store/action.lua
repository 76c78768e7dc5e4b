-- Copyright (C) ngx_http_approval_module contributors
--
-- What the scripts about one action begin with, after common.lua and, from
-- model/life.def: PLACE of the states in the index; LIFE, "FROM TO" and when of
-- the transitions that are this script's; WHY, the causes of refusals.
--
-- KEYS[1]  the action,  KEYS[2] its decision,  KEYS[3] its votes
-- KEYS[4]  pending: open ids of the shard by their next deadline
-- KEYS[5]  index: what the lists are read from
-- KEYS[6]  classes: by whom actions can be decided, sealed
-- KEYS[7]  of load, vote, settle, consume and leave: the action's end, the
--          decision that it was taken or ended with, for gateways that have not
--          seen it: see model/ends.h
-- What follows is the script's own.
--
-- Fields: s state, x expires (pending: overdue at, later: lapses at),
-- d decided, l end of the lease, b the sealed document, o outcome, h how many
-- connections wait beside the first (-1: none does, absent: 0), t a ticket
-- (202) is out: whoever asks again takes it up,
-- r when an execution ended whose end is repeated to whoever asks again soon
-- (0: it has not yet; absent: they execute it once more),
-- k "created execute_within join per class": each field costs memory; of the
-- join hash it has the first half.
-- nk, nf messages that were sent, that were given up (see queue_done.lua).
--
-- The index has one member of each action, all with the same score, so that
-- they are sorted as text: PLACE, CLASS, created, id without the shard; of
-- those that ended also the time (s) at which the action is gone.

local key, DECISION, VOTES = KEYS[1], KEYS[2], KEYS[3]
local PENDING, INDEX, CLASSES, END = KEYS[4], KEYS[5], KEYS[6], KEYS[7]

local function read(name)
    local f = try('HMGET', name, 's', 'x', 'd', 'l', 'k', 'r')

    if not f or not f[1] then
        return nil
    end

    local created, within, join, per, class =
        string.match(f[5] or '', '^(%d+) (%d+) (%S+) (%S+) (%S+)')

    return { s = f[1], x = tonumber(f[2]) or 0, d = tonumber(f[3]) or 0,
             l = tonumber(f[4]) or 0, c = tonumber(created or 0),
             r = tonumber(f[6] or nil),
             class = class, within = tonumber(within or 0),
             join = join ~= '-' and join or nil,
             per = per ~= '-' and per or nil }
end


-- what stands in the decision key; set by hand, it may lack a TTL

local function decided()
    local decision = try('GET', DECISION)

    if decision and #decision > TEXT_MAX then
        return nil
    end

    if decision and redis.call('PTTL', DECISION) == -1 then
        redis.call('PEXPIRE', DECISION,
                   math.max(redis.call('PTTL', key), 60000))
    end

    return decision
end


-- done, or refused: a refusal shows what was decided

local function ok(a)
    return answer('ok', a)
end


local function refuse(a)
    local decision = decided()

    if a and decision then
        return answer('no', a, 'D', decision)
    end

    return answer('no', a)
end


-- Until when it stays where it is.

local function due(a)
    return a.s == 'executing' and a.l or a.x
end


-- May it go there now?  nil: it may; else the answer that says why not.

local function barred(a, state)
    local when = a and LIFE[a.s .. ' ' .. state]

    if when == 'after' and now < due(a) then
        a.x = due(a)
        return answer('again', a)
    elseif when == 'before' and now >= due(a) then
        a.s = 'expired'
    elseif when then
        return nil
    end

    return refuse(a)
end


-- The only way from one state to another.

local function enter(a, state)
    local from = a.s or 'unknown'

    if not LIFE[from .. ' ' .. state] then
        error('an action cannot go from ' .. from .. ' to ' .. state)
    end

    a.s = state
end


-- one more waits, or one fewer; returns how many beside the first

local function wait(name, n)
    local others = redis.call('HINCRBY', name, 'h', n)

    if others == 0 then
        redis.call('HDEL', name, 'h')
    end

    return others
end


-- who should have been told of an action was not: the next ones are told now

local function untold(queue, deliver)
    redis.call('HINCRBY', key, 'nf', 1)

    for _, other in ipairs(redis.call('HKEYS', queue)) do
        if string.match(other, '^e%d+$')
           and redis.call('HEXISTS', queue, 'a:' .. other) == 0
        then
            redis.call('ZADD', deliver, 'XX', now, id .. ':' .. other)
        end
    end
end


-- Somebody who asked for the same did not get the answer: the end is repeated.

local function told(name, a)
    if not a.r then
        a.r = a.s == 'executed' and now or 0
        redis.call('HSET', name, 'r', a.r)
    end
end


-- It ends here, for as long as it could be put back and approved: the key's
-- life, which is returned, is all that, and retention.

local function over(decision, retention)
    local life = redis.call('PTTL', key)

    redis.call('SET', END, decision, 'PX', math.max(life - retention, 60000))

    return life
end


-- it is executed for longer than it was made for

local function extend(ms)
    for _, name in ipairs({ key, DECISION, VOTES, PENDING, INDEX, CLASSES }) do
        keep(name, ms)
    end
end


local function ended()
    said('a', id, try('GET', END))
end


-- no longer open: the caller's store is told where it counted

local function leave(a)
    a.left = a.per
end


local function member(a, state)
    return PLACE[state] .. (a.class or '') .. stamp(a.c) .. string.sub(id, 3)
end


-- Of what ended, oldest first, what is gone; returns whether any was there, or
-- may be.

local function trim(prefix, most)
    local list = try('ZRANGEBYLEX', INDEX, '[' .. prefix .. '0',
                     '(' .. prefix .. ':', 'LIMIT', 0, most)

    if not list then
        return true
    end

    for _, old in ipairs(list) do
        if tonumber(string.sub(old, -10)) * 1000 < now then
            redis.call('ZREM', INDEX, old)
        end
    end

    return #list > 0
end


-- Classes of which nothing is left are forgotten: one at a time, by chance.

local function trim_class()
    local name = try('HRANDFIELD', CLASSES)

    if not name then
        return
    end

    local class = string.sub(name, 1, 8)
    local open = try('ZRANGEBYLEX', INDEX, '[o' .. class, '(o' .. class .. ':',
                     'LIMIT', 0, 1)
    local used = not open or #open > 0

    for place in string.gmatch('xfdec', '.') do
        used = trim(place .. class, 16) or used
    end

    if not used then
        redis.call('HDEL', CLASSES, name)
    end
end


local function file(a, retention)
    try('ZREM', INDEX, member(a, 'pending'))
    try('ZADD', INDEX, 0, member(a, a.s)
        .. string.format('%010.0f', (now + retention) / 1000))
    keep(INDEX, retention)

    if string.sub(id, -1) == '0' then
        trim(PLACE[a.s] .. (a.class or ''), 64)
        trim_class()
    end
end


local function approve(a, decision, retention)
    local within = a.within

    enter(a, 'approved')

    a.d, a.x = now, now + within

    redis.call('HSET', key, 's', a.s, 'd', a.d, 'x', a.x)

    local life = keep(key, within + retention)

    redis.call('PEXPIRE', VOTES, life)
    redis.call('SET', DECISION, decision, 'PX', life)
    redis.call('ZADD', PENDING, a.x, id)
end


-- any terminal state; without a decision the one that stands is kept; what
-- follows are fields and values

local function close(a, state, decision, retention, ...)
    if a.s ~= 'executing' then
        a.d = now
        leave(a)

        -- an expiry is the deadline's, which is sealed

        if decision ~= '' and state ~= 'expired' then
            over(decision, retention)
        end

    elseif a.r or state == 'failed' then
        redis.call('HSET', key, 'r', now)
    end

    enter(a, state)

    redis.call('HSET', key, 's', a.s, 'd', a.d, ...)
    redis.call('PEXPIRE', key, retention)
    redis.call('PEXPIRE', VOTES, retention)

    if decision ~= '' then
        redis.call('SET', DECISION, decision, 'PX', retention)
    else
        redis.call('PEXPIRE', DECISION, retention)
    end

    try('ZREM', PENDING, id)
    file(a, retention)
end


-- no more than are read, and not more of each than one has

local function votes_of()
    local votes = try('LRANGE', VOTES, 0, VOTES_MAX - 1) or {}
    local size = 0

    for n, vote in ipairs(votes) do
        size = size + #vote

        if size > DOC_MAX then
            votes[n] = ''
        end
    end

    return votes
end


-- the whole of an action, as pairs at the end of a list

local function describe(out, votes)
    local a = read(key)

    if not a then
        return false
    end

    local function put(field, value)
        if value then
            out[#out + 1] = field
            out[#out + 1] = value
        end
    end

    local f = redis.call('HMGET', key, 'b', 'o', 'h', 't', 'nk', 'nf')

    if #(f[1] or '') > DOC_MAX or #(f[2] or '') > TEXT_MAX then
        return false
    end

    put('i', id)
    put('s', a.s)
    put('c', a.c)
    put('x', a.x)
    put('d', a.d)
    put('b', f[1])
    put('o', f[2])
    put('h', not f[4] and tonumber(f[3] or nil))
    put('D', decided())

    if f[5] or f[6] then
        put('k', tonumber(f[5] or 0))
        put('f', tonumber(f[6] or 0))
    end

    if votes then
        put('V', votes_of())
    end

    if votes and PLACE[a.s] == 'o' then
        ended()
        put('L', ENDS[1] and ENDS)
    end

    return true
end


