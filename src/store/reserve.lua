-- Copyright (C) ngx_http_approval_module contributors
--
-- Counts an action for approval_max_pending, before it is made in a shard other
-- than that of the counter.
--
-- KEYS       the counter, by each hash of its value
-- ARGV[2..]  ms, max_pending
-- ok         counted;  busy  there are max_pending

if not reserve(KEYS, tonumber(ARGV[2]), tonumber(ARGV[3])) then
    return answer('busy', nil)
end

return answer('ok', { s = 'pending', c = 0, x = 0, d = 0 })
