-- The last step of a feed answer: drop what is no longer visible, reserve exposure, log what was
-- served; all of it at one moment.
-- KEYS  1 stream of events   2 hash of visibility rows   3 its sequence number
--       4 set of the barred subjects
-- ARGV  now_ms, request_id, user_id, region, audience, k, shown ms, shown limit, held ms, header,
--       keyed hash of the user_id, ms that the region is remembered,
--       then FIELDS per candidate, best first: item_id, creator_id, '1' to reserve, body
-- Returns  {'ok', sequence, {kept positions}, {hidden positions}, {spent positions}} | {'unknown'} |
--          {'barred'}
local FIRST, FIELDS = 13, 4
local now, request, user, region, audience = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local k, shown_ms, shown_limit, held_ms = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local STRICTNESS = {visible = 0, limited = 1, pending = 2, hidden = 3}

local sequence = redis.call('GET', KEYS[3])
if not sequence then return {'unknown'} end
if redis.call('SISMEMBER', KEYS[4], ARGV[11]) == 1 then return {'barred'} end

-- The same rules as serving.records.status.resolve, on [region, audience, decided, version, sequence, status].
local function strictness(encoded)
  if not encoded then return 0 end
  local decision, check = nil, nil
  for _, row in ipairs(cjson.decode(encoded)) do
    local covers = (row[1] == '*' or row[1] == region) and (row[2] == '*' or row[2] == audience)
    if covers and row[3] == 1 then
      if not decision or row[5] > decision[5] then decision = row end
    elseif covers then
      if not check or row[5] > check[5] then check = row end
    end
  end
  if not (decision and check) then
    local alone = decision or check
    return alone and STRICTNESS[alone[6]] or 0
  end
  if check[4] <= decision[4] then return STRICTNESS[decision[6]] end
  return math.max(STRICTNESS[decision[6]], STRICTNESS[check[6]])
end

local subjects = {}
for i = FIRST, #ARGV, FIELDS do
  subjects[#subjects + 1] = 'item:' .. ARGV[i]
  subjects[#subjects + 1] = 'creator:' .. ARGV[i + 1]
end
local rows = #subjects > 0 and redis.call('HMGET', KEYS[2], unpack(subjects)) or {}

local function reserved(item)
  local held, ladder = 'held:' .. item, redis.call('HMGET', 'exposure:' .. item, 'budget', 'confirmed', 'closed')
  redis.call('ZREMRANGEBYSCORE', held, '-inf', now)
  local spent = tonumber(ladder[2] or '0') + redis.call('ZCARD', held)
  if not ladder[1] or ladder[3] == '1' or spent >= tonumber(ladder[1]) then return false end
  redis.call('ZADD', held, now + held_ms, request)
  redis.call('PEXPIRE', held, held_ms)
  redis.call('ZADD', 'ladder:changed', redis.call('INCR', 'ladder:changes'), item)
  return true
end

local kept, hidden, spent, bodies, shown = {}, {}, {}, {}, {}
for n = 1, #subjects / 2 do
  if #kept == k then break end
  local i = FIRST + (n - 1) * FIELDS
  local found = math.max(strictness(rows[2 * n - 1]), strictness(rows[2 * n]))
  if found > STRICTNESS.limited then
    hidden[#hidden + 1] = n - 1
  elseif ARGV[i + 2] == '1' and (found == STRICTNESS.limited or not reserved(ARGV[i])) then
    spent[#spent + 1] = n - 1
  else
    kept[#kept + 1] = n - 1
    bodies[#bodies + 1] = ARGV[i + 3]
    shown[#shown + 1] = now + shown_ms
    shown[#shown + 1] = ARGV[i]
  end
end

if #kept > 0 then
  redis.call('XADD', KEYS[1], '*', 'kind', 'served', 'header', ARGV[10], 'body', table.concat(bodies, '\n'))
end
if #kept > 0 and user ~= '' then
  local key = 'shown:' .. user
  redis.call('ZADD', key, 'GT', unpack(shown))
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
  redis.call('ZREMRANGEBYRANK', key, 0, -1 - shown_limit)
  if redis.call('PTTL', key) < shown_ms then redis.call('PEXPIRE', key, shown_ms) end
  if region ~= '' then redis.call('SET', 'region:' .. user, region, 'PX', ARGV[12]) end
end
return {'ok', tonumber(sequence), kept, hidden, spent}
