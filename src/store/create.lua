-- Copyright (C) ngx_http_approval_module contributors
--
-- A new action, or the open one under the same join hash.
--
-- ARGV[3..]  join, requester, per, max_pending, digest, doc, timeout,
--            execute_within, retention, cool_down, grant, policy, ticket,
--            call, until when the answer is waited for (0: not known):
--            hashes in join, requester, per, grant, policy, call; these, and
--            ticket, may be empty
-- ok         s c x d r j, i; D where it was joined and is decided
-- ok         G u i b: the grant was used once more, no action is made
-- no         w frozen: the requester or the policy is
-- no         w late: nobody waits for the answer
-- no         w given up: the call was, before it came
-- no         w cooling: i was denied, and is not asked for again until x
-- no         w ended: i is the ticket, an action under join that is not open
-- busy       per has max_pending open actions

local join, requester, per = ARGV[3], ARGV[4], ARGV[5]
local max, digest, doc = tonumber(ARGV[6]), ARGV[7], ARGV[8]
local timeout, within = tonumber(ARGV[9]), tonumber(ARGV[10])
local retention, cool = tonumber(ARGV[11]), tonumber(ARGV[12] or 0)
local grant, policy = ARGV[13] or '', ARGV[14] or ''
local ticket, call = ARGV[15] or '', ARGV[16] or ''
local heard = tonumber(ARGV[17] or 0)


local function count()
    if requester ~= '' then
        local name = recent_key(first(requester))

        if redis.call('HINCRBY', name, math.floor(now / 60000), 1) == 1 then
            redis.call('PEXPIRE', name, 660000)
        end
    end

    return recent(requester, true)
end


local function open(a)
    return a and (a.s == 'pending' or a.s == 'approved') and now < a.x
end


-- one that was held, and given up, is asked for again

local function given_up()
    for hash in each(call) do
        if redis.call('DEL', call_key(hash) .. DECISION) == 1
           and redis.call('EXISTS', call_key(hash)) == 0
        then
            return true
        end
    end

    return false
end


local function held(action)
    if call ~= '' then
        local name = call_key(first(call))

        redis.call('HSET', name, 'a', action)
        keep(name, timeout + within)
    end
end


local function joined(other, a)
    local decision = redis.call('GET', action_key(other) .. DECISION)
    local out = answer('ok', a, 'i', other, 'r', recent(requester),
                       'j', other == id and 0 or 1)

    if other ~= id then
        wait(action_key(other), 1)
        redis.call('HDEL', action_key(other), 't')
        held(other)
    end

    if decision then
        out[#out + 1] = 'D'
        out[#out + 1] = decision
    end

    return out
end


-- what is older than all that is kept of it: by one new action in sixteen,
-- and more than that many

local function trim()
    if string.sub(id, -1) ~= '0' then
        return
    end

    local old = redis.call('ZRANGEBYSCORE', ACTIONS, '-inf',
                           int(now - retention), 'LIMIT', 0, 64)

    for _, action in ipairs(old) do
        if redis.call('EXISTS', action_key(action)) == 0 then
            redis.call('ZREM', ACTIONS, action)
        end
    end
end


local function granted(grant)
    local name = grant_key(grant)
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

    return answer('ok', { s = 'approved', c = now, x = now + left, d = now },
                  'i', f[1], 'b', f[2], 'G', grant, 'u', used)
end


if heard > 0 and now > heard then
    return answer('no', { s = 'cancelled', c = 0, x = 0, d = 0 }, 'w', 'late')
end

if frozen(requester, policy) then
    return answer('no', { s = 'cancelled', c = 0, x = 0, d = 0 },
                  'w', 'frozen')
end

local a = read(key)

if a then
    return joined(id, a)
end

if given_up() then
    return answer('no', { s = 'cancelled', c = 0, x = 0, d = 0 },
                  'w', 'given up')
end

if join ~= '' then
    for hash in each(join) do
        local left = redis.call('PTTL', cool_key(hash))

        if left > 0 then
            return answer('no', { s = 'denied', c = 0, x = now + left, d = 0 },
                          'i', redis.call('GET', cool_key(hash)),
                          'w', 'cooling')
        end
    end

    for hash in each(grant) do
        local pass = granted(hash)

        if pass then
            return pass
        end
    end

    a = ticket ~= '' and read(action_key(ticket))

    for hash in each(join) do
        if a and a.join == hash and not open(a) then
            if a.s == 'pending' or a.s == 'approved' then
                a.s = 'expired'
            end

            return answer('no', a, 'i', ticket, 'w', 'ended')
        end
    end

    for hash in each(join) do
        local other = redis.call('GET', join_key(hash))
        a = other and read(action_key(other))

        if open(a) then
            return joined(other, a)
        end
    end
end

local whole = timeout + within

if per ~= '' and max > 0 then
    local open = 0

    for hash in each(per) do
        redis.call('ZREMRANGEBYSCORE', per_key(hash), '-inf', int(now))
        open = open + redis.call('ZCARD', per_key(hash))
    end

    if open >= max then
        return answer('busy', nil)
    end
end

join, per = first(join), first(per)

a = { s = 'pending', c = now, x = now + timeout, d = 0 }

redis.call('HSET', key, 's', a.s, 'x', int(a.x), 'b', doc,
           'k', table.concat({ int(a.c), int(within),
                               join ~= '' and join or '-',
                               per ~= '' and per or '-',
                           (string.gsub(digest, '^sha256:', '')),
                                 cool > 0 and int(cool) or nil }, ' '))
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

held(id)

return answer('ok', a, 'i', id, 'r', count(), 'j', 0)
