-- Copyright (C) ngx_http_approval_module contributors
--
-- Returns how many actions a requester has created in the last ten minutes.
--
-- KEYS  the requester's list of actions under each hash
-- ok    r

local sum = 0

for _, name in ipairs(KEYS) do
    sum = sum + recent(name)
end

return { 'ok', now, 's', 'pending', 'r', sum }
