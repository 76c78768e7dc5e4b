-- Copyright (C) ngx_http_approval_module contributors
--
-- A message was sent or given up; the action counts both in nk and nf.  If a
-- message is given up, the action's escalations become due.  If it was late,
-- they already are (see queue_keep.lua).
--
-- ARGV[2..]  name ('': the message was never in the queue), attempts so far, 1
--            if it was sent, ms until it is due again (0: never), the new
--            payload ('' or absent: unchanged)
-- ok         stored
-- no         another worker has it

local name, sent, again = ARGV[2], ARGV[4] == '1', tonumber(ARGV[5])

local a = read(key)
local queue, deliver = KEYS[7], KEYS[8]
local kind = name == '' and 'm' or string.sub(name, 1, 1)

if not a then
    return answer('no', nil)
end

if name ~= '' then
    if redis.call('HGET', queue, 'a:' .. name) ~= ARGV[3] then
        return answer('no', a)
    end

    if again > 0 and a.s == 'pending' then
        redis.call('HINCRBY', queue, 's:' .. name, 1)
        redis.call('HSET', queue, 'a:' .. name, 0)
        redis.call('ZADD', deliver, now + again, id .. ':' .. name)
    else
        redis.call('ZREM', deliver, id .. ':' .. name)
    end
end

if kind == 'm' or kind == 'e' then
    local late = redis.call('HDEL', queue, 'x:' .. name) == 1

    if sent then
        redis.call('HINCRBY', key, 'nk', 1)

        if (ARGV[6] or '') ~= '' then
            redis.call('HSET', queue, name, ARGV[6])
        end

        if late then
            redis.call('HINCRBY', key, 'nf', -1)
        end
    else
        redis.call('HDEL', queue, name)

        if not late then
            untold(queue, deliver)
        end
    end
end

return ok(a)
