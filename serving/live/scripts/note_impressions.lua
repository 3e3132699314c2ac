-- What impressions change of the online state; running it twice changes nothing more.
-- KEYS  1 set of the barred subjects, of whom nothing is noted
-- ARGV  now_ms, shown ms, shown limit, then fours: user_id, item_id, request_id or '', keyed hash
--       of the user_id
-- Returns  how many reservations were confirmed
local FIRST, FIELDS = 4, 4
local now, shown_ms, shown_limit = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local shown, confirmed = {}, 0

for i = FIRST, #ARGV, FIELDS do
  local user, item, request = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  if redis.call('SISMEMBER', KEYS[1], ARGV[i + 3]) == 0 then
    shown[user] = shown[user] or {}
    table.insert(shown[user], now + shown_ms)
    table.insert(shown[user], item)
  end
  if request ~= '' and redis.call('ZREM', 'held:' .. item, request) == 1 then
    redis.call('HINCRBY', 'exposure:' .. item, 'confirmed', 1)
    confirmed = confirmed + 1
  end
end
for user, items in pairs(shown) do
  local key = 'shown:' .. user
  redis.call('ZADD', key, 'GT', unpack(items))
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
  redis.call('ZREMRANGEBYRANK', key, 0, -1 - shown_limit)
  redis.call('PEXPIRE', key, shown_ms)
end
return confirmed
