-- Copyright (C) ngx_http_approval_module contributors
--
-- Has it been seen before?
--
-- KEYS[1]  once:MARK, a part of a MAC
-- ARGV[2]  ms for which to remember it
-- ok       never
-- no       it has

if redis.call('SET', KEYS[1], '1', 'NX', 'PX', ARGV[2]) then
    return answer('ok', { s = 'pending', c = 0, x = 0, d = 0 })
end

return answer('no', nil)
