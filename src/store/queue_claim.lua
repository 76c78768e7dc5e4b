-- Copyright (C) ngx_http_approval_module contributors
--
-- Gives a message that is due to one worker, which has the lease for it.
--
-- KEYS[7]    the action's messages,  KEYS[8] deliver
-- ARGV[2..]  name, lease
-- ok         {name, payload, facts, attempt, again, action}
-- no         it is no longer to be sent, was never a message, or another worker
--            has it

local name, lease = ARGV[2], tonumber(ARGV[3])
local queue, deliver = KEYS[7], KEYS[8]

local member = id .. ':' .. name
local due = redis.call('ZSCORE', deliver, member)

if not due or tonumber(due) > now then
    return answer('no', nil)
end

local state, base = string.match(name, '^o:(%a+):(.+)$')

local a = read(key)
local payload = redis.call('HGET', queue, base or name)
local facts = state and redis.call('HGET', queue, 'f:' .. state) or ''

if not payload or not a
   or not (state or (a.s == 'pending' and now < a.x))
then
    redis.call('ZREM', deliver, member)
    return answer('no', nil)
end

local described = {}
local attempt = redis.call('HINCRBY', queue, 'a:' .. name, 1)

redis.call('ZADD', deliver, now + lease, member)
describe(described, false)

return { 'ok', now, { name, payload, facts or '', attempt,
                      tonumber(redis.call('HGET', queue, 's:' .. name) or 0),
                      described } }
