-- Copyright (C) ngx_http_approval_module contributors
--
-- A part of a page of one requester's actions, newest first.
--
-- KEYS       the requester's list of actions under each hash: see newer()
-- ARGV[2..]  as for list.lua, without the beginnings of members
-- ok         created and id (without its shard) in one text, ...

local since, before, limit = ARGV[2], ARGV[3], tonumber(ARGV[4])
local found = {}


-- Actions of the same ms are in no order, so all of them are collected.

local function look(name)
    local at = before ~= '' and newer(name, stamp(tonumber(
                                            string.sub(before, 1, 13)) + 1))
                            or 0
    local n, last = 0, nil

    while true do
        local part = redis.call('LRANGE', name, -(at + limit), -(at + 1))

        for i = #part, 1, -1 do
            local time = string.sub(part[i], 1, 13)
            local entry = time .. string.sub(part[i], 16, 45)

            if time < since or (n >= limit and time ~= last) then
                return
            end

            if before == '' or entry < before then
                found[#found + 1] = entry
                n, last = n + 1, time
            end
        end

        if #part < limit then
            return
        end

        at = at + limit
    end
end


for _, name in ipairs(KEYS) do
    look(name)
end

table.sort(found, function(l, r) return l > r end)

for n = #found, limit + 1, -1 do
    found[n] = nil
end

return { 'ok', now, found }
