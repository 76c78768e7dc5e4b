-- Copyright (C) ngx_http_approval_module contributors
--
-- A message that is due is given to one worker for the time of its lease.
--
-- KEYS[7]    the action's messages,  KEYS[8] deliver
-- ARGV[2..]  name, lease
-- ok         {name, payload, facts, attempt, again, action}
-- no         it waits no more, never was a message, or another worker has it

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
