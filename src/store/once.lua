-- Copyright (C) ngx_http_approval_module contributors
--
-- Remembers a mark, and says whether it was seen before.
--
-- KEYS[1]  once:MARK, a part of a MAC
-- ARGV[2]  how long to remember it, in ms
-- ok       not seen before
-- no       seen before

if redis.call('SET', KEYS[1], '1', 'NX', 'PX', ARGV[2]) then
    return answer('ok', { s = 'pending', c = 0, x = 0, d = 0 })
end

return answer('no', nil)
