-- Copyright (C) ngx_http_approval_module contributors
--
-- Who sends a message keeps it: for the next attempt, or until it is due.
--
-- ARGV[3..]  name, attempts so far, ms, and why: 0 it waits until it is due, 1
--            an attempt begins, 2 it waits, and its retries are used up: from
--            now on it is late, and counts as not sent, 3 it waits, and what
--            was taken for an attempt was none
-- ok         kept
-- no         another worker has it, or it is not to be sent any more

local name, ms = ARGV[3], tonumber(ARGV[5])

local a = read(key)
local queue, deliver = key .. ':deliver', prefix .. 'deliver'
local member = id .. ':' .. name

if not a or redis.call('HGET', queue, 'a:' .. name) ~= ARGV[4]
   or not redis.call('ZSCORE', deliver, member)
then
    return answer('no', a)
end

if string.sub(name, 1, 1) ~= 'o' and (a.s ~= 'pending' or now >= a.x) then
    redis.call('ZREM', deliver, member)
    return answer('no', a)
end

if ARGV[6] == '1' then
    redis.call('HINCRBY', queue, 'a:' .. name, 1)
elseif ARGV[6] == '3' then
    if redis.call('HINCRBY', queue, 'a:' .. name, -1) == 0 then
        redis.call('HDEL', queue, 'a:' .. name)
    end
elseif ARGV[6] == '2' and string.match(name, '^[me]')
       and redis.call('HSETNX', queue, 'x:' .. name, 1) == 1
then
    untold(queue)
end

redis.call('ZADD', deliver, int(now + ms), member)

return ok(a)
