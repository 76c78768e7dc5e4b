-- Copyright (C) ngx_http_approval_module contributors
--
-- Adds a vote, and with the last one the decision.  The caller has judged the
-- decision over "seen" votes; if there is another number of votes now, the
-- caller must judge again.
--
-- ARGV[2..]  seen, vote, state, decision ('': not decided), retention, the
--            channel on which the vote is published with the decision ('': none)
-- ok         stored
-- again      the number of votes is not "seen"
-- no         decided (D), overdue, or unknown

local seen, vote = tonumber(ARGV[2]), ARGV[3]
local state, decision, retention = ARGV[4], ARGV[5], tonumber(ARGV[6])
local channel = ARGV[7]

local a = read(key)

if not a then
    return refuse(nil)
end

local votes = redis.call('LLEN', VOTES)

-- the same call again, because its reply was lost

if votes > seen and redis.call('LINDEX', VOTES, seen) == vote then
    return ok(a)
end

-- an empty key is not a decision, and the caller ignores it as well

if (decided() or '') ~= '' then
    return refuse(a)
end

-- a comment, or a vote that decides nothing, is accepted only as long as a vote
-- could still decide

local bar = barred(a, decision ~= '' and state or 'denied')

if bar then
    return bar
end

if votes ~= seen then
    return answer('again', a)
end

redis.call('RPUSH', VOTES, vote)

if decision == '' then
    redis.call('PEXPIRE', VOTES,
               int(math.max(redis.call('PTTL', key), retention)))
elseif state == 'approved' then
    approve(a, decision, retention)
else
    close(a, state, decision, retention)
end

-- The last command: even if it fails, the decision is in its key.

if channel ~= '' then
    redis.pcall('PUBLISH', channel, id .. ' ' .. decision)
end

return ok(a)
