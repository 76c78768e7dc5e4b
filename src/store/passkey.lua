-- Copyright (C) ngx_http_approval_module contributors
--
-- The passkeys of all approvers.
--
-- KEYS[1]    passkeys: name, record (a JWS)
-- KEYS[2]    passkeys:used: name, the counter and the time of its last use
-- KEYS[3]    passkeys:ended: name, the record that says that it was revoked
-- KEYS[4]    once:NONCE, of "use"
-- ARGV[2]    what; then its own:
--   list                       now, and for each passkey its name, its record,
--                              and the record of its revocation or ''
--   get NAME                   now, the same two records
--   put NAME OLD NEW MAX END SINCE  now, "ok"; "again": the record is no longer
--                              OLD; "full": there are MAX passkeys; "ended": it
--                              was revoked, and is not enrolled again; "used":
--                              it was used after SINCE.  NEW '': the passkey is
--                              removed.  END: the record of its revocation at
--                              SINCE, or ''
--   use NAME OLD COUNT FIRST MS  now, "ok"; "again"; "replayed": the nonce was
--                              used in the last MS; "cloned": COUNT is not
--                              greater than at the last use, or than FIRST

local what, name, old = ARGV[2], ARGV[3], ARGV[4]

-- a key of another type must not prevent a new enrolment

for i = 1, 3 do
    if not try('HLEN', KEYS[i]) then
        redis.call('DEL', KEYS[i])
    end
end


local function ended(of)
    local text = redis.call('HGET', KEYS[3], of)

    return text and #text <= TEXT_MAX and text or ''
end

if what == 'list' then
    local out = { tostring(now) }

    for i, text in ipairs(redis.call('HGETALL', KEYS[1])) do
        out[#out + 1] = text

        if i % 2 == 0 then
            out[#out + 1] = ended(out[#out - 1])
        end
    end

    return out
end

local value = redis.call('HGET', KEYS[1], name) or ''

if what == 'get' then
    return { tostring(now), value, ended(name) }
end

if value ~= old then
    return { tostring(now), 'again' }
end

local count, at = string.match(redis.call('HGET', KEYS[2], name) or '',
                               '^(%d+) (%d+)$')

if what == 'put' then
    if ARGV[7] ~= '' and tonumber(at or 0) > tonumber(ARGV[8]) then
        return { tostring(now), 'used' }
    elseif old == '' and ARGV[5] ~= ''
           and redis.call('HEXISTS', KEYS[3], name) == 1
    then
        return { tostring(now), 'ended' }
    elseif ARGV[5] == '' then
        redis.call('HDEL', KEYS[1], name)
        redis.call('HDEL', KEYS[2], name)
    elseif old == '' and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[6]) then
        return { tostring(now), 'full' }
    else
        redis.call('HSET', KEYS[1], name, ARGV[5])
    end

    if ARGV[7] ~= '' then
        redis.call('HSET', KEYS[3], name, ARGV[7])
    end

    return { tostring(now), 'ok' }
end

local last = tonumber(count or ARGV[6])

count = tonumber(ARGV[5])

if not redis.call('SET', KEYS[4], '1', 'NX', 'PX', ARGV[7]) then
    return { tostring(now), 'replayed' }
end

-- authenticators without a counter always send 0

if (count > 0 or last > 0) and count <= last then
    return { tostring(now), 'cloned' }
end

redis.call('HSET', KEYS[2], name, ARGV[5] .. ' ' .. int(now))

return { tostring(now), 'ok' }
