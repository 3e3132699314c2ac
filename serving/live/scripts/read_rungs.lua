-- Where items stand on the exploration ladder.
-- KEYS  1 sorted set of the ladder's items
-- ARGV  now_ms, number of kinds of evidence, those kinds, then item ids
-- Returns  per item that is known {item, tier, budget, confirmed, held, opened ms, closed, first,
--          when the first of what is held is let go or 0, counts...}
local now, kinds = tonumber(ARGV[1]), tonumber(ARGV[2])
local found = {}
for i = 3 + kinds, #ARGV do
  local item = ARGV[i]
  local fields = redis.call('HMGET', 'exposure:' .. item, 'tier', 'budget', 'confirmed', 'opened_ms', 'closed', 'first')
  if fields[1] then
    redis.call('ZREMRANGEBYSCORE', 'held:' .. item, '-inf', now)
    local held = redis.call('ZCARD', 'held:' .. item)
    local first = held > 0 and redis.call('ZRANGE', 'held:' .. item, 0, 0, 'WITHSCORES') or {}
    local row = {
      item, fields[1], fields[2], fields[3] or '0', held,
      fields[4], fields[5] or '0', fields[6], first[2] or '0',
    }
    for n = 1, kinds do row[#row + 1] = redis.call('PFCOUNT', 'evidence:' .. item .. ':' .. ARGV[2 + n]) end
    found[#found + 1] = row
  else
    redis.call('ZREM', KEYS[1], item)
  end
end
return found
