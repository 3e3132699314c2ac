-- What impressions and reactions change of the online state; running it twice changes nothing more.
-- KEYS  1 set of the barred subjects, of whom nothing is noted
-- ARGV  now_ms, shown ms, shown limit, then FIELDS each: user_id, item_id, request_id or '',
--       keyed hash of the user_id, reaction or '' for an impression
-- Returns  how many reservations were confirmed
local FIRST, FIELDS = 4, 5
local now, shown_ms, shown_limit = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local shown, confirmed = {}, 0

-- Replicas read again where an item stands.
local function changed(item)
  redis.call('ZADD', 'ladder:changed', redis.call('INCR', 'ladder:changes'), item)
end

-- Of whom an item on the ladder was seen: a sketch that counts people once and names nobody.
local function witness(item, what, user)
  local ladder = 'exposure:' .. item
  if redis.call('EXISTS', ladder) == 0 then return end
  local key = 'evidence:' .. item .. ':' .. what
  if redis.call('PFADD', key, user) == 1 then changed(item) end
  local left = redis.call('PTTL', ladder)
  if left > 0 then redis.call('PEXPIRE', key, left) end
end

for i = FIRST, #ARGV, FIELDS do
  local user, item, request, reaction = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 4]
  local stays = redis.call('SISMEMBER', KEYS[1], ARGV[i + 3]) == 0
  if stays and reaction == '' then
    shown[user] = shown[user] or {}
    table.insert(shown[user], now + shown_ms)
    table.insert(shown[user], item)
  end
  if stays then witness(item, reaction == '' and 'viewers' or reaction, user) end
  if reaction == '' and request ~= '' and redis.call('ZREM', 'held:' .. item, request) == 1 then
    redis.call('HINCRBY', 'exposure:' .. item, 'confirmed', 1)
    changed(item)
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
