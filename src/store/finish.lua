-- Copyright (C) ngx_http_approval_module contributors
--
-- Stores the outcome of an action that was taken.
--
-- ARGV[2..]  state, outcome, retention, repeat (1: identical requests that
--            follow soon get the same end, because the response was not
--            delivered completely, or the request has an Idempotency-Key)
-- ok         stored, now or before
-- no         it is not executing

local state, outcome, retention = ARGV[2], ARGV[3], tonumber(ARGV[4])

local a = read(key)

if a and a.s == state and redis.call('HGET', key, 'o') == outcome then
    return ok(a)
end

local bar = barred(a, state)

if bar then
    return bar
end

if ARGV[5] == '1' then
    told(key, a)
end

close(a, state, '', retention, 'o', outcome)

return ok(a)
