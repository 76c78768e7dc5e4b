-- Copyright (C) ngx_http_approval_module contributors
--
-- Has it been seen before?  ID is a part of a MAC.
--
-- ARGV[3]  ms for which to remember it
-- ok       never
-- no       it has

if redis.call('SET', prefix .. 'once:{' .. id .. '}', '1', 'NX', 'PX',
              int(tonumber(ARGV[3])))
then
    return ok({ s = 'pending', c = 0, x = 0, d = 0 })
end

return answer('no', nil)
