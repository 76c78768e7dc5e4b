-- Copyright (C) ngx_http_approval_module contributors
--
-- The end of an action without a vote.
--
-- ARGV[2..]  state, decision, retention
-- ok         settled, by this caller alone: who else ends it in this moment, and
--            has signed the very same, is told that it is ended
-- again      too early: x is when
-- no         it is in another state

local state, decision, retention = ARGV[2], ARGV[3], tonumber(ARGV[4])

local a = read(key)

local bar = barred(a, state)

if bar then
    return bar
end

close(a, state, decision, retention)

return ok(a)
