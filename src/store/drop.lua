-- Copyright (C) ngx_http_approval_module contributors
--
-- Removes a decision that did not verify.
--
-- ARGV[2]  decision
-- ok       removed, or there is none
-- no       there is another decision (D), or no such action

local a = read(key)
local decision = redis.call('GET', DECISION)

if decision == ARGV[2] then
    redis.call('DEL', DECISION)
    decision = false
end

if a and not decision then
    return ok(a)
end

return refuse(a)
