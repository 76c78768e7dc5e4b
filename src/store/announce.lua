-- Copyright (C) ngx_http_approval_module contributors
--
-- Called for a request that has joined an action which is not announced: its
-- request may not be on record yet, and its approvers not notified.
--
-- ok         it is announced, or has ended
-- ok         b: the caller must announce it, because the worker that was about
--            to do so is late, and may be gone
-- again      another worker is about to announce it
-- no         there is no such action, or it has no document

local a = read(key)

if not a then
    return refuse(a)
end

local till = tonumber(redis.call('HGET', key, 'u') or nil)

if not till or not open(a) then
    return ok(a)
end

-- a time that no script has set is not waited for

if now < till and till <= announce_by() then
    return answer('again', a)
end

local doc = redis.call('HGET', key, 'b')

if not doc or #doc > DOC_MAX then
    return answer('no', nil)
end

redis.call('HSET', key, 'u', announce_by())

return answer('ok', a, 'b', doc)
