-- Copyright (C) ngx_http_approval_module contributors
--
-- The beginning of the scripts about one action, after common.lua and tables
-- from model/life.def: PLACE, the places of the states in the index; LIFE, this
-- script's transitions ("FROM TO" and when); WHY, the causes of refusals.
--
-- KEYS[1]  the action,  KEYS[2] its decision,  KEYS[3] its votes
-- KEYS[4]  pending: open ids of the shard by their next deadline
-- KEYS[5]  index: the lists are read from it
-- KEYS[6]  classes: who can decide actions, sealed
-- KEYS[7]  in load, vote, settle, consume and leave: the action's end, i.e. the
--          decision with which it was taken or ended, for gateways that have
--          not seen it (see model/ends.h)
-- Each script defines the others.
--
-- Fields:
--   s       state
--   x       expires (pending: overdue at, later: lapses at)
--   d       decided
--   l       end of the lease
--   b       the sealed document
--   o       outcome
--   h       number of waiting connections besides the first (absent: 0; -1:
--           not even the first waits)
--   t       a ticket (202) was issued; the next identical request joins and
--           removes it
--   r       time at which the execution ended (0: it has not yet).  If set, an
--           identical request that follows soon gets the same end; if absent,
--           it is a new action
--   k       "created execute_within join per class", one field to save memory;
--           only the first half of the join hash
--   nk, nf  number of messages sent, given up (see queue_done.lua)
--   u       until when a worker may take to announce the action, i.e. to record
--           its request and notify its approvers (absent: it is announced)
--
-- The index has one member for each action, all with the same score, so they
-- are sorted as text: PLACE, CLASS, created, id without the shard; for actions
-- that ended also the time (s) at which the action is gone.

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


-- the value of the decision key; a person may have set it without a TTL

local function decided()
    local decision = try('GET', DECISION)

    if decision and #decision > TEXT_MAX then
        return nil
    end

    if decision and redis.call('PTTL', DECISION) == -1 then
        redis.call('PEXPIRE', DECISION,
                   int(math.max(redis.call('PTTL', key), 60000)))
    end

    return decision
end


local function ok(a)
    return answer('ok', a)
end


-- a refusal contains the decision, if there is one

local function refuse(a)
    local decision = decided()

    if a and decision then
        return answer('no', a, 'D', decision)
    end

    return answer('no', a)
end


local function due(a)
    return a.s == 'executing' and a.l or a.x
end


local function open(a)
    return a and (a.s == 'pending' or a.s == 'approved') and now < a.x
end


-- until when the caller may take to announce the action; another worker may do
-- so after that

local function announce_by()
    return now + 5000
end


-- nil if the action may enter the state now, otherwise the reply that says why
-- it may not

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


-- All changes of state go through this function.

local function enter(a, state)
    local from = a.s or 'unknown'

    if not LIFE[from .. ' ' .. state] then
        error('an action cannot go from ' .. from .. ' to ' .. state)
    end

    a.s = state
end


-- adds n to the waiting connections; returns how many wait besides the first

local function wait(name, n)
    local others = redis.call('HINCRBY', name, 'h', n)

    if others == 0 then
        redis.call('HDEL', name, 'h')
    end

    return others
end


-- a message was not delivered, so all escalations become due at once

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


-- Another requester of the same action did not get the upstream's response.  If
-- the request is repeated soon, it gets the action's end.

local function told(name, a)
    if not a.r then
        a.r = a.s == 'executed' and now or 0
        redis.call('HSET', name, 'r', a.r)
    end
end


-- Stores the end for as long as somebody could restore the action and get it
-- approved: the TTL of its key, which is returned, minus retention.

local function over(decision, retention)
    local life = redis.call('PTTL', key)

    redis.call('SET', END, decision, 'PX',
               int(math.max(life - retention, 60000)))

    return life
end


-- an execution may outlast the TTLs that were set at creation

local function extend(ms)
    for _, name in ipairs({ key, DECISION, VOTES, PENDING, INDEX, CLASSES }) do
        keep(name, ms)
    end
end


local function ended()
    said('a', id, try('GET', END))
end


-- the action is no longer open: the reply names the counter that it must leave

local function leave(a)
    a.left = a.per
end


local function member(a, state)
    return PLACE[state] .. (a.class or '') .. stamp(a.c) .. string.sub(id, 3)
end


-- Removes up to "most" members whose actions are gone, oldest first.  Returns
-- false only if there were no members.

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


-- Removes a random class if no actions of it are left.

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

    redis.call('PEXPIRE', VOTES, int(life))
    redis.call('SET', DECISION, decision, 'PX', int(life))
    redis.call('ZADD', PENDING, a.x, id)
end


-- enters a terminal state; without a decision the stored one is kept; further
-- arguments are fields and values

local function close(a, state, decision, retention, ...)
    if a.s ~= 'executing' then
        a.d = now
        leave(a)

        -- an expiry needs no statement: the deadline is in the sealed document

        if decision ~= '' and state ~= 'expired' then
            over(decision, retention)
        end

    elseif a.r or state == 'failed' then
        redis.call('HSET', key, 'r', now)
    end

    enter(a, state)

    redis.call('HSET', key, 's', a.s, 'd', a.d, ...)
    redis.call('PEXPIRE', key, int(retention))
    redis.call('PEXPIRE', VOTES, int(retention))

    if decision ~= '' then
        redis.call('SET', DECISION, decision, 'PX', int(retention))
    else
        redis.call('PEXPIRE', DECISION, int(retention))
    end

    try('ZREM', PENDING, id)
    file(a, retention)
end


-- at most as many votes and bytes as a valid action can have

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


-- appends all fields of an action to a list, as pairs

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


