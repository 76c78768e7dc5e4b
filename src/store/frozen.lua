-- Copyright (C) ngx_http_approval_module contributors
--
-- Lists all freezes, including lifted ones.
--
-- KEYS[1]  frozen
-- ok       a list: i the hash, s cancelled (expired: the freeze was lifted), x
--          until, b the document

local out = { 'ok', now }
local list = redis.call('HGETALL', KEYS[1])

for n = 1, #list, 2 do
    local till, how, doc = string.match(list[n + 1], '^(%d+) ([@-]?)(.*)$')

    if till and how ~= '@' and (till == '0' or now < tonumber(till)) then
        out[#out + 1] = { 'i', list[n],
                          's', how == '-' and 'expired' or 'cancelled',
                          'x', tonumber(till), 'b', doc }
    end
end

return out
