-- Copyright (C) ngx_http_approval_module contributors
--
-- A part of a page of actions, newest first: those created before "before", or
-- at that time with an id below "below".
--
-- KEYS[1]    PREFIXactions
-- ARGV[3..]  open (1: only open ones), before (0: all), below, limit, budget
-- ok         the time and the id from which to go on ('': the end), then a
--            list of actions

local open, before, below = ARGV[3] == '1', tonumber(ARGV[4]), ARGV[5]
local limit, budget = tonumber(ARGV[6]), tonumber(ARGV[7])

local out = { 'ok', now, 0, '' }


local function wanted(created, action)
    return before == 0 or created < before
           or (created == before and action < below)
end


local function add(created, action)
    local entry = {}

    if describe(entry, action, true) then
        out[#out + 1] = entry
        out[3], out[4] = created, action
    end

    return #out - 4 >= limit
end


-- Open ones are few, as a rule: no need to look for them in the history, unless
-- somebody has made a key of another type of it.

local few = open and try('ZCARD', PENDING)

if few and few <= budget then
    local found = {}

    for _, action in ipairs(redis.call('ZRANGE', PENDING, 0, -1)) do
        local a = read(action_key(action))

        if a and wanted(a.c, action) then
            found[#found + 1] = { a.c, action }
        end
    end

    table.sort(found, function(l, r)
        return l[1] > r[1] or (l[1] == r[1] and l[2] > r[2])
    end)

    for _, f in ipairs(found) do
        if add(f[1], f[2]) then
            return out
        end
    end

    out[3], out[4] = 0, ''

    return out
end

local max = before == 0 and '+inf' or int(before)
local ids = try('ZREVRANGEBYSCORE', ACTIONS, max, '-inf',
                'WITHSCORES', 'LIMIT', 0, budget) or {}

for n = 1, #ids, 2 do
    local action, created = ids[n], tonumber(ids[n + 1])

    if wanted(created, action)
       and (not few or redis.call('ZSCORE', PENDING, action))
       and add(created, action)
    then
        return out
    end

    out[3], out[4] = created, action
end

if #ids < 2 * budget then
    out[3], out[4] = 0, ''
end

return out
