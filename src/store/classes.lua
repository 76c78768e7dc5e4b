-- Copyright (C) ngx_http_approval_module contributors
--
-- Lists the classes of a shard: who can decide its actions.
--
-- KEYS[1]  classes
-- ok       hash, document, ...

return { 'ok', now, redis.call('HGETALL', KEYS[1]) }
