-- Copyright (C) ngx_http_approval_module contributors
--
-- Reads a grant that is in force.
--
-- KEYS[1]  grant,  KEYS[2]  grants
-- ARGV[2]  its hash
-- ok       i s c x d G b u
-- no       there is none

local f = try('HMGET', KEYS[1], 'a', 'b', 'u') or {}
local ends = redis.call('ZSCORE', KEYS[2], ARGV[2])

if not f[1] or not f[2] or #f[2] > DOC_MAX or not ends then
    return answer('no', nil)
end

return answer('ok', { s = 'approved', c = 0, x = tonumber(ends), d = 0 },
              'i', f[1], 'G', ARGV[2], 'b', f[2], 'u', tonumber(f[3] or 0))
