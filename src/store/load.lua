-- Copyright (C) ngx_http_approval_module contributors
--
-- Reads an action.
--
-- ok  the action
-- no  there is none

local out = { 'ok', now }

if describe(out, true) then
    return out
end

return refuse(nil)
