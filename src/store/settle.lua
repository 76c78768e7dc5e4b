-- Copyright (C) ngx_http_approval_module contributors
--
-- Ends an action without a vote.
--
-- ARGV[2..]  state, decision, retention
-- ok         settled.  Only one caller gets this reply, even if several sign
--            the same decision at the same time; the others get "no"
-- again      too early; not before x
-- no         it is in another state

local state, decision, retention = ARGV[2], ARGV[3], tonumber(ARGV[4])

local a = read(key)

local bar = barred(a, state)

if bar then
    return bar
end

ended()
close(a, state, decision, retention)

return ok(a)
