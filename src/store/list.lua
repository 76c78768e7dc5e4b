-- Copyright (C) ngx_http_approval_module contributors
--
-- A part of a page of actions, newest first, from an index.
--
-- KEYS[1]    index: see action.lua
-- KEYS[2]    pending, only if all open actions are requested.  They are read
--            from this key, by deadline, and from the index only if the key is
--            empty or unusable
-- ARGV[2..]  since (13 digits), before (13 digits and an id without its shard;
--            "": from the newest), limit, and the beginnings of members, none
--            or more
-- ok         created (from pending: deadline) and id in one text, ...

local since, before, limit = ARGV[2], ARGV[3], tonumber(ARGV[4])
local found = {}


-- Keeps the newest "limit" entries; older members need not be read.

local function cut()
    table.sort(found, function(l, r) return l > r end)

    for n = #found, limit + 1, -1 do
        found[n] = nil
    end

    if #found == limit and found[limit] > since then
        since = found[limit]
    end
end


-- false: the member is foreign.  It must not take the place of an action, so the
-- caller reads on.

local function add(entry)
    if #entry ~= 43 or not string.find(entry, '^%x+$') then
        return false
    end

    found[#found + 1] = entry

    return true
end


-- Actions with the same deadline are in no order, so all of them are collected.

local function open()
    local from = before ~= '' and string.sub(before, 1, 13) or '+inf'
    local at, last = 0, nil

    while true do
        local part = redis.call('ZREVRANGEBYSCORE', KEYS[2], from, '-inf',
                                'WITHSCORES', 'LIMIT', at, limit)

        for n = 1, #part, 2 do
            local time = stamp(math.max(0, math.min(tonumber(part[n + 1]),
                                                    9999999999999)))
            local entry = time .. string.sub(part[n], 3)

            if #found >= limit and time ~= last then
                return
            end

            if (before == '' or entry < before) and add(entry) then
                last = time
            end
        end

        if #part < 2 * limit then
            return
        end

        at = at + limit
    end
end


local known = KEYS[2] and try('ZCARD', KEYS[2])

if known and known > 0 then
    open()
    cut()

    return { 'ok', now, found }
end

-- An unusable index is an error only if "pending" is unusable as well.  Without
-- classes nothing can be read from the index.

local read = known and try or redis.call

if KEYS[2] and #ARGV < 5 then
    read('ZCARD', KEYS[2])
end

if before == '' then
    before = ':'
end

for n = 5, #ARGV do
    local begin = ARGV[n]
    local from, added = begin .. before, 0

    repeat
        local part = read('ZREVRANGEBYLEX', KEYS[1], '(' .. from,
                          '[' .. begin .. since, 'LIMIT', 0, limit) or {}

        for _, m in ipairs(part) do
            if add(string.sub(m, #begin + 1, #begin + 43)) then
                added = added + 1
            end
        end

        from = part[#part]
    until #part < limit or added >= limit

    if #found > 2 * limit then
        cut()
    end
end

cut()

return { 'ok', now, found }
