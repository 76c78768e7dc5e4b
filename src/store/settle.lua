-- Copyright (C) ngx_http_approval_module contributors
--
-- The end of an action without a vote.
--
-- ARGV[2..]  state, decision, retention
-- ok         settled, by this caller alone: who else ends it in this moment, and
--            has signed the very same, is told that it is ended
-- again      too early: x is when
-- no         it is in another state

local state, decision, retention = ARGV[2], ARGV[3], tonumber(ARGV[4])

local a = read(key)

if not a then
    return refuse(nil)
end

if state == 'expired' and (a.s == 'pending' or a.s == 'approved') then
    if now < a.x then
        return answer('again', a)
    end

elseif state == 'failed' and a.s == 'executing' then
    if now < a.l then
        a.x = a.l
        return answer('again', a)
    end

elseif (state == 'denied' or state == 'cancelled') and a.s == 'pending' then
    if now >= a.x then
        a.s = 'expired'
        return refuse(a)
    end

else
    return refuse(a)
end

close(a, state, decision, retention)

return ok(a)
