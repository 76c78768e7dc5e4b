-- Copyright (C) ngx_http_approval_module contributors
--
-- The worker that sends a message keeps it for "ms".
--
-- ARGV[2..]  name, attempts so far, ms, and why:
--              0  the message waits until it is due
--              1  an attempt begins
--              2  it waits, but its retries are used up: from now on it is late
--                 and counts as not sent
--              3  it waits, and the last attempt does not count
-- ok         kept
-- no         another worker has it, or it is no longer to be sent

local name, ms = ARGV[2], tonumber(ARGV[4])

local a = read(key)
local queue, deliver = KEYS[7], KEYS[8]
local member = id .. ':' .. name

if not a or redis.call('HGET', queue, 'a:' .. name) ~= ARGV[3]
   or not redis.call('ZSCORE', deliver, member)
then
    return answer('no', a)
end

if string.sub(name, 1, 1) ~= 'o' and (a.s ~= 'pending' or now >= a.x) then
    redis.call('ZREM', deliver, member)
    return answer('no', a)
end

if ARGV[5] == '1' then
    redis.call('HINCRBY', queue, 'a:' .. name, 1)
elseif ARGV[5] == '3' then
    if redis.call('HINCRBY', queue, 'a:' .. name, -1) == 0 then
        redis.call('HDEL', queue, 'a:' .. name)
    end
elseif ARGV[5] == '2' and string.match(name, '^[me]')
       and redis.call('HSETNX', queue, 'x:' .. name, 1) == 1
then
    untold(queue, deliver)
end

redis.call('ZADD', deliver, now + ms, member)

return ok(a)
