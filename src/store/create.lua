-- Copyright (C) ngx_http_approval_module contributors
--
-- Creates an action, or joins the open one under the same join hash.
--
-- KEYS[7..]  frozen, grants; for each requester its list of actions (by), for
--            each join and per its key, for each grant its key and its end, for
--            each call its key and its decision; the ticket's action; the
--            action and the decision of each of "others"
-- ARGV[2..]  join, requester, per, max_pending, doc, timeout, execute_within,
--            retention, repeat, grant, policy, ticket, call, class, its
--            document, "seen" (not '' if the gateway has seen a freeze),
--            others (the ids under the join hashes, from the last reply
--            "again"), the hash by which another shard counts it for
--            approval_max_pending, "uncounted" (1: it still has to be counted,
--            so it is not created), the deadline of the reply (0: not known).
--            Hashes are in join, requester, per, grant, policy, call
-- ok         s c x d r j, i; if it was joined: D if it is decided, a if it is
--            not announced (see announce.lua)
-- ok         G u i b: the grant was used once, no action is created
-- again      O: the ids under the join hashes are not "others", but these
-- again      w WHY.uncounted: it can be created, and must be counted first
-- no         w WHY.frozen: the requester or the policy is frozen
-- no         w WHY.late: the deadline of the reply has passed
-- no         w WHY.unfrozen: neither is frozen, but the gateway has seen a
--            freeze
-- no         w WHY.given_up: the call was given up before it arrived
-- no         w WHY.again: i has ended or is executing, and approvers are not
--            asked again until x
-- no         w WHY.ended: i is the ticket, an action under join, but not open
-- busy       per has max_pending open actions

local join, requester, per = ARGV[2], ARGV[3], ARGV[4]
local max, doc = tonumber(ARGV[5]), ARGV[6]
local timeout, within = tonumber(ARGV[7]), tonumber(ARGV[8])
local retention, again = tonumber(ARGV[9]), tonumber(ARGV[10])
local grant, policy, ticket, call = ARGV[11], ARGV[12], ARGV[13], ARGV[14]
local class, class_doc, seen, others = ARGV[15], ARGV[16], ARGV[17], ARGV[18]
local counted, uncounted, heard = ARGV[19], ARGV[20], tonumber(ARGV[21])

local FROZEN, GRANTS = KEYS[7], KEYS[8]
local at = 8


-- how long, at least, a repeated request finds an execution

local RUN_MAX = 3600000


-- takes the next keys, n for each name

local function keys_of(names, n)
    local list = {}

    for name in each(names) do
        list[#list + 1] = { name, KEYS[at + 1], n == 2 and KEYS[at + 2] }
        at = at + n
    end

    return list
end


local by, joins = keys_of(requester, 1), keys_of(join, 1)
local pers, passes = keys_of(per, 1), keys_of(grant, 2)
local calls, tickets = keys_of(call, 2), keys_of(ticket, 1)
local open_ones = keys_of(others, 2)


local function no(state, x, why, ...)
    return answer('no', { s = state, c = 0, x = x, d = 0 }, 'w', why, ...)
end


-- removes actions that are older than ten minutes and gone; one new action in
-- sixteen calls it

local function trim_by(name)
    local gone, old = 0, stamp(now - 600000)

    for n, m in ipairs(redis.call('LRANGE', name, 0, 63)) do
        if m > old or tonumber(string.sub(m, -10)) * 1000 >= now then
            break
        end

        gone = n
    end

    redis.call('LTRIM', name, gone, -1)
end


local function count()
    local life, sum = timeout + within + retention, 0

    if by[1] then
        redis.call('RPUSH', by[1][2], stamp(now) .. id
                   .. string.format('%010.0f', (now + life) / 1000 + 600))
        keep(by[1][2], math.max(life, 660000))

        if string.sub(id, -1) == '0' then
            trim_by(by[1][2])
        end
    end

    for _, b in ipairs(by) do
        sum = sum + recent(b[2])
    end

    return sum
end


-- true only for a call that was given up before it was held; if it was held
-- before, the client sends it again

local function given_up()
    for _, c in ipairs(calls) do
        if redis.call('DEL', c[3]) == 1
           and redis.call('EXISTS', c[2]) == 0
        then
            return true
        end
    end

    return false
end


local function held(action)
    if calls[1] then
        redis.call('HSET', calls[1][2], 'a', action)
        keep(calls[1][2], timeout + within)
    end
end


local function joined(other, name, decision, a)
    local sum = 0

    for _, b in ipairs(by) do
        sum = sum + recent(b[2])
    end

    local out = answer('ok', a, 'i', other, 'r', sum,
                       'j', other == id and 0 or 1)

    if other ~= id then
        wait(name, 1)
        redis.call('HDEL', name, 't')
        held(other)

        if redis.call('HEXISTS', name, 'u') == 1 then
            out[#out + 1] = 'a'
            out[#out + 1] = 1
        end
    end

    decision = redis.call('GET', decision)

    if decision then
        out[#out + 1] = 'D'
        out[#out + 1] = decision
    end

    return out
end


-- The end of an action that an identical request gets again, and until when.  A
-- request that arrives during the execution has overlapped with it.

local function repeated(name)
    local a = again > 0 and read(name)
    local from = a and (a.s == 'denied' and a.d
                        or (a.s == 'failed' or a.s == 'executed') and a.r)

    if a and a.s == 'executing' then
        told(name, a)
        from = now
    end

    if from and now < from + again then
        return a.s, from + again
    end
end


-- the ids under the join hashes; no gateway stores ids of another shard there

local function standing()
    local list = {}

    for _, j in ipairs(joins) do
        local other = redis.call('GET', j[2])

        if other and #other == 32 and string.match(other, '^%x+$')
           and string.sub(other, 1, 2) == string.sub(id, 1, 2)
        then
            list[#list + 1] = other
        end
    end

    return table.concat(list, ' ')
end


local function granted(g)
    local grant, name = g[1], g[2]
    local f = redis.call('HMGET', name, 'a', 'b', 'm')

    if not f[1] or not f[2] then
        return nil
    end

    local used, most = redis.call('HINCRBY', name, 'u', 1), tonumber(f[3] or 0)
    local left = redis.call('PTTL', name)

    if most > 0 and used >= most then
        redis.call('DEL', name)
        redis.call('ZREM', GRANTS, grant)
    end

    if left <= 0 or most > 0 and used > most then
        return nil
    end

    said('g', grant, string.match(try('GET', g[3]) or '', '^%d+ (.*)$'))

    return answer('ok', { s = 'approved', c = now, x = now + left, d = now },
                  'i', f[1], 'b', f[2], 'G', grant, 'u', used)
end


if heard > 0 and now > heard then
    return no('cancelled', 0, WHY.late)
end

if frozen(FROZEN, requester, policy) then
    return no('cancelled', 0, WHY.frozen)
end

if seen ~= '' then
    return no('cancelled', 0, WHY.unfrozen)
end

local a = read(key)

if a then
    return joined(id, key, DECISION, a)
end

local there = standing()

if there ~= others then
    return { 'again', now, 'O', there }
end

if given_up() then
    return no('cancelled', 0, WHY.given_up)
end

for _, g in ipairs(passes) do
    local pass = granted(g)

    if pass then
        return pass
    end
end

for _, o in ipairs(open_ones) do
    local ended, till = repeated(o[2])

    if ended then
        return no(ended, till, WHY.again, 'i', o[1])
    end
end

a = tickets[1] and read(tickets[1][2])

for _, j in ipairs(joins) do
    if a and a.join == string.sub(j[1], 1, 16) and not open(a) then
        if a.s == 'pending' or a.s == 'approved' then
            a.s = 'expired'
        end

        return answer('no', a, 'i', ticket, 'w', WHY.ended)
    end
end

for _, o in ipairs(open_ones) do
    a = read(o[2])

    if open(a) then
        return joined(o[1], o[2], o[3], a)
    end
end

if uncounted == '1' then
    return { 'again', now, 'w', WHY.uncounted }
end

local whole = timeout + within
local names = {}

for n, p in ipairs(pers) do
    names[n] = p[2]
end

if names[1] and max > 0 and not reserve(names, whole, max) then
    return answer('busy', nil)
end

a = { c = now, x = now + timeout, d = 0, class = string.sub(class, 1, 8) }

enter(a, 'pending')

local function word(s)
    return s ~= '' and s or '-'
end

-- first, because if one of these fails (another type of key), no action is
-- created

redis.call('ZADD', PENDING, a.x, id)
keep(PENDING, whole + retention)

held(id)

local sum = count()

redis.call('HSET', key, 's', a.s, 'x', a.x, 'u', announce_by(), 'b', doc,
           'k', table.concat({ a.c, ARGV[8],
                               word(string.sub(join, 1, 16)),
                               word(names[1] and first(per) or counted),
                               word(a.class) }, ' '))
redis.call('PEXPIRE', key, int(whole + retention))

-- a bad index or bad classes affect only the lists; consume.lua extends the
-- TTLs for the execution

try('ZADD', INDEX, 0, member(a, a.s))
keep(INDEX, whole + retention)

try('HSETNX', CLASSES, class, class_doc)
keep(CLASSES, whole + retention)

if joins[1] then
    local longer = again > 0 and again + RUN_MAX or 0

    redis.call('SET', joins[1][2], id, 'PX', int(whole + longer))
end

return answer('ok', a, 'i', id, 'r', sum, 'j', 0)
