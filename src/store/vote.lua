-- Copyright (C) ngx_http_approval_module contributors
--
-- One more vote, and with the last one the decision.  What the decision is was
-- judged over "seen" votes: any other number of them, and it is judged again.
--
-- ARGV[2..]  seen, vote, state, decision ('': not decided), retention, the
--            channel on which the decision is published ('': none)
-- ok         recorded
-- again      there are other votes than seen
-- no         decided (D), overdue, or unknown

local seen, vote = tonumber(ARGV[2]), ARGV[3]
local state, decision, retention = ARGV[4], ARGV[5], tonumber(ARGV[6])
local channel = ARGV[7]

local a = read(key)

if not a then
    return refuse(nil)
end

local votes = redis.call('LLEN', VOTES)

-- the same call again: its answer was lost

if votes > seen and redis.call('LINDEX', VOTES, seen) == vote then
    return ok(a)
end

-- an empty key is no decision, nor does the caller see one

if (decided() or '') ~= '' then
    return refuse(a)
end

-- also what decides nothing is only of use while a vote could

local bar = barred(a, decision ~= '' and state or 'denied')

if bar then
    return bar
end

if votes ~= seen then
    return answer('again', a)
end

redis.call('RPUSH', VOTES, vote)

if decision == '' then
    redis.call('PEXPIRE', VOTES, math.max(redis.call('PTTL', key), retention))
elseif state == 'approved' then
    approve(a, decision, retention)
else
    close(a, state, decision, retention)
end

-- The last command: whatever becomes of it, the decision stands in its key.

if decision ~= '' and channel ~= '' then
    redis.pcall('PUBLISH', channel, id .. ' ' .. decision)
end

return ok(a)
