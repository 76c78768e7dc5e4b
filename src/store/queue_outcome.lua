-- Copyright (C) ngx_http_approval_module contributors
--
-- Adds messages about an action's new state, one for each recipient of an
-- earlier message, once for each state.  The caller sends the first "limit" of
-- them itself.
--
-- ARGV[2..]  state, facts, lease, limit
-- ok         a list of {name, payload, facts, attempt, again, action}
-- no         there are no recipients, or the messages were added before

local state, facts = ARGV[2], ARGV[3]
local lease, limit = tonumber(ARGV[4]), tonumber(ARGV[5])

local queue, deliver = KEYS[7], KEYS[8]
local a = read(key)

if not a or (state ~= 'approved' and a.s ~= state)
   or redis.call('EXISTS', queue) == 0
   or redis.call('HSETNX', queue, 'f:' .. state, facts) == 0
then
    return answer('no', a)
end

local out, described = { 'ok', now }, {}

describe(described, false)

for _, base in ipairs(redis.call('HKEYS', queue)) do
    if string.match(base, '^[me]%d+$')
       and redis.call('HEXISTS', queue, 'a:' .. base) == 1
    then
        local name, due = 'o:' .. state .. ':' .. base, 0

        if #out - 2 < limit then
            redis.call('HSET', queue, 'a:' .. name, 1)
            due = lease
            out[#out + 1] = { name, redis.call('HGET', queue, base), facts,
                              1, 0, described }
        end

        redis.call('ZADD', deliver, now + due, id .. ':' .. name)
    end
end

local ttl = redis.call('PTTL', key)

redis.call('PEXPIRE', queue, int(ttl))
keep(deliver, ttl)

return out
