-- Copyright (C) ngx_http_approval_module contributors
--
-- A part of a page of actions, newest first: where they are in an index.
--
-- KEYS[1]    index: see action.lua
-- ARGV[2..]  since (13 digits), before (the same and an id without its shard;
--            "": from the newest), limit, and how members begin, one or more
-- ok         created and id, in one, ...

local since, before, limit = ARGV[2], ARGV[3], tonumber(ARGV[4])
local found = {}

if before == '' then
    before = ':'
end


-- Members that come after limit others need not be looked for.

local function cut()
    table.sort(found, function(l, r) return l > r end)

    for n = #found, limit + 1, -1 do
        found[n] = nil
    end

    if #found == limit and found[limit] > since then
        since = found[limit]
    end
end


for n = 5, #ARGV do
    local begin = ARGV[n]
    local part = redis.call('ZREVRANGEBYLEX', KEYS[1], '(' .. begin .. before,
                            '[' .. begin .. since, 'LIMIT', 0, limit)

    for _, m in ipairs(part) do
        found[#found + 1] = string.sub(m, #begin + 1, #begin + 43)
    end

    if #found > 2 * limit then
        cut()
    end
end

cut()

return { 'ok', now, found }
