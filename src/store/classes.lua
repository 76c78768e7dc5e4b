-- Copyright (C) ngx_http_approval_module contributors
--
-- By whom actions of a shard can be decided.
--
-- KEYS[1]  classes
-- ok       hash, document, ...

return { 'ok', now, redis.call('HGETALL', KEYS[1]) }
