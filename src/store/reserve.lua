-- Copyright (C) ngx_http_approval_module contributors
--
-- Counts an action, before it is created, for approval_max_prompts, or for
-- approval_max_pending if that counter is in another shard.
--
-- KEYS       the counter under each hash of its value
-- ARGV[2..]  ms, limit
-- ok         counted
-- busy       the limit is reached, until x at the latest

local done, over = reserve(KEYS, tonumber(ARGV[2]), tonumber(ARGV[3]))

return answer(done and 'ok' or 'busy',
              { s = 'pending', c = 0, x = over or 0, d = 0 })
