-- Copyright (C) ngx_http_approval_module contributors
--
-- How many actions a requester has made lately: looked at, not counted.
--
-- KEYS[1]  PREFIXrecent
-- ARGV[3]  the requester's hashes
-- ok       r

return { 'ok', now, 's', 'pending', 'r', recent(ARGV[3]) }
