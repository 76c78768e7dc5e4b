-- Copyright (C) ngx_http_approval_module contributors
--
-- Counts an action, before it is made, for approval_max_prompts, or for
-- approval_max_pending where that counter is in another shard.
--
-- KEYS       the counter, by each hash of its value
-- ARGV[2..]  ms, how many
-- ok         counted;  busy  there are so many, until x at the latest

local done, over = reserve(KEYS, tonumber(ARGV[2]), tonumber(ARGV[3]))

return answer(done and 'ok' or 'busy',
              { s = 'pending', c = 0, x = over or 0, d = 0 })
