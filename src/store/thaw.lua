-- Copyright (C) ngx_http_approval_module contributors
--
-- KEYS[1]  PREFIXfrozen
-- ARGV[3]  hash
-- ok       it is frozen no more;  no  it was not

if redis.call('HDEL', FROZEN, ARGV[3]) == 0 then
    return answer('no', nil)
end

return answer('ok', { s = 'cancelled', c = 0, x = 0, d = 0 })
