-- Bring an item onto the exploration ladder, or move it; only from where it was when that was decided.
-- KEYS  1 sorted set of the ladder's items   2 stream of moves   3 hash of what the creator's items became
-- ARGV  now_ms, kept ms, item, step, tier it must be on, tier, budget, moves kept
-- Keeps  the item's own newest moves as JSON in the list moves:<item>
-- Returns  1 if it moved, 0 if it was elsewhere
local OWN_MOVES = 100
local now, kept_ms, item, step, before, after, budget = unpack(ARGV)
local key = 'exposure:' .. item

if step == 'opened' then
  if redis.call('HEXISTS', key, 'tier') == 1 then return 0 end
  redis.call('HSET', key, 'opened_ms', now, 'first', budget)
  redis.call('ZADD', KEYS[1], now, item)
else
  local tier, closed = unpack(redis.call('HMGET', key, 'tier', 'closed'))
  if tier ~= before or not redis.call('ZSCORE', KEYS[1], item) then return 0 end
  if step == 'demoted' and closed == '1' then return 0 end
end
local closes = step == 'demoted' or step == 'expired'
if closes then  -- with what was served since that was decided
  redis.call('ZREMRANGEBYSCORE', 'held:' .. item, '-inf', now)
  budget = tonumber(redis.call('HGET', key, 'confirmed') or '0') + redis.call('ZCARD', 'held:' .. item)
end
redis.call('HSET', key, 'tier', after, 'budget', budget, 'closed', closes and '1' or '0')
redis.call('PEXPIRE', key, kept_ms)
if step == 'expired' then
  redis.call('ZREM', KEYS[1], item)
  redis.call('HINCRBY', KEYS[3], 'decided', 1)
  if after ~= '0' then redis.call('HINCRBY', KEYS[3], 'promoted', 1) end
  redis.call('PEXPIRE', KEYS[3], kept_ms)
end
local own = 'moves:' .. item
redis.call('RPUSH', own, cjson.encode({step = step, at_ms = now, tier = after, budget = tostring(budget)}))
redis.call('LTRIM', own, -OWN_MOVES, -1)
redis.call('PEXPIRE', own, kept_ms)
redis.call('ZADD', 'ladder:changed', redis.call('INCR', 'ladder:changes'), item)
redis.call('ZREMRANGEBYRANK', 'ladder:changed', 0, -1 - ARGV[8])
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[8], '*', 'item', item, 'step', step, 'at_ms', now, 'tier', after, 'budget', budget)
return 1
