-- Copyright (C) ngx_http_approval_module contributors
--
-- How many actions a requester has made lately: looked at, not counted.
--
-- KEYS  the indexes of what it asked for
-- ok    r

local sum = 0

for _, name in ipairs(KEYS) do
    sum = sum + recent(name)
end

return { 'ok', now, 's', 'pending', 'r', sum }
