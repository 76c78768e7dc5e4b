-- Copyright (C) ngx_http_approval_module contributors
--
-- Messages that are due, each given to one worker for the time of its lease.
--
-- KEYS[1]    PREFIXdeliver
-- ARGV[3..]  limit, lease
-- ok         a list of {name, payload, facts, attempt, again, action}

local limit, lease = tonumber(ARGV[3]), tonumber(ARGV[4])

local out = { 'ok', now }
local due = redis.call('ZRANGEBYSCORE', key, '-inf', int(now),
                       'LIMIT', 0, limit)


-- nil: it waits no more, or never was a message

local function claimed(member, action, name)
    local queue = action_key(action) .. ':deliver'
    local state, base = string.match(name, '^o:(%a+):(.+)$')

    local a = read(action_key(action))
    local payload = redis.call('HGET', queue, base or name)
    local facts = state and redis.call('HGET', queue, 'f:' .. state) or ''

    if not payload or not a
       or not (state or (a.s == 'pending' and now < a.x))
    then
        return nil
    end

    local described = {}
    local attempt = redis.call('HINCRBY', queue, 'a:' .. name, 1)

    redis.call('ZADD', key, int(now + lease), member)
    describe(described, action, false)

    return { name, payload, facts or '', attempt,
             tonumber(redis.call('HGET', queue, 's:' .. name) or 0),
             described }
end


for _, member in ipairs(due) do
    local action, name = string.match(member, '^(%x+):(.+)$')
    local item = action and claimed(member, action, name)

    if item then
        out[#out + 1] = item
    else
        redis.call('ZREM', key, member)
    end
end

return out
