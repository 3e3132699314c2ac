-- Append one batch of events, all or nothing: deduplicate, log, and bring the online state up to date.
-- KEYS  1 stream of events   2 hash of the generations of known ids   3 set of the barred subjects
-- ARGV  now_ms, ids per generation, generation age ms, kept ms, stream limit, recent limit,
--       bucket ms, buckets kept, then FIELDS per event:
--       hash of the event's id, digest, body, user_id, recent entry or '', counter or '',
--       keyed hash of the user_id
-- Returns  {'ok', entry id or '', fresh, duplicate...} | {'conflict', position...} | {'full'} |
--          {'barred', position...}
local FIRST, FIELDS, GENERATIONS = 9, 7, 6
local now, per_generation, max_age, kept_ms = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local recent_limit, bucket_ms, buckets_kept = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])

if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[5]) then return {'full'} end

if redis.call('EXISTS', KEYS[3]) == 1 then
  local barred = {}
  for i = FIRST, #ARGV, FIELDS do
    if redis.call('SISMEMBER', KEYS[3], ARGV[i + 6]) == 1 then barred[#barred + 1] = (i - FIRST) / FIELDS end
  end
  if #barred > 0 then return {'barred', unpack(barred)} end
end

local ids = {}
for i = FIRST, #ARGV, FIELDS do ids[#ids + 1] = ARGV[i] end
local newest = tonumber(redis.call('HGET', KEYS[2], 'newest') or '0')
local known = {}
for generation = math.max(newest - GENERATIONS + 1, 0), newest do
  local found = redis.call('HMGET', KEYS[2] .. ':' .. generation, unpack(ids))
  for n = 1, #ids do known[ids[n]] = found[n] or known[ids[n]] end
end

local fresh, duplicates, conflicts = {}, {}, {}
for n = 1, #ids do
  local digest = ARGV[FIRST + (n - 1) * FIELDS + 1]
  local before = known[ids[n]]
  if not before then
    known[ids[n]] = digest
    fresh[#fresh + 1] = FIRST + (n - 1) * FIELDS
  elseif before == digest then
    duplicates[#duplicates + 1] = n - 1
  else
    conflicts[#conflicts + 1] = n - 1
  end
end
if #conflicts > 0 then return {'conflict', unpack(conflicts)} end
if #fresh == 0 then return {'ok', '', 0, unpack(duplicates)} end

local seen_ids, bodies, recent, counts = {}, {}, {}, {}
for _, i in ipairs(fresh) do
  local user, entry, counter = ARGV[i + 3], ARGV[i + 4], ARGV[i + 5]
  seen_ids[#seen_ids + 1] = ARGV[i]
  seen_ids[#seen_ids + 1] = ARGV[i + 1]
  bodies[#bodies + 1] = ARGV[i + 2]
  if entry ~= '' then
    recent[user] = recent[user] or {}
    table.insert(recent[user], entry)
  end
  if counter ~= '' then counts[counter] = (counts[counter] or 0) + 1 end
end

local generation = KEYS[2] .. ':' .. newest
redis.call('HSET', generation, unpack(seen_ids))
local opened = redis.call('HGET', KEYS[2], 'opened_ms')
if not opened then redis.call('HSET', KEYS[2], 'newest', newest, 'opened_ms', now) end
if redis.call('HLEN', generation) >= per_generation or now - tonumber(opened or now) >= max_age then
  redis.call('HSET', KEYS[2], 'newest', newest + 1, 'opened_ms', now)
  redis.call('PEXPIRE', generation, kept_ms)
  redis.call('UNLINK', KEYS[2] .. ':' .. (newest + 1 - GENERATIONS))
end

for user, entries in pairs(recent) do
  redis.call('LPUSH', 'recent:' .. user, unpack(entries))
  redis.call('LTRIM', 'recent:' .. user, 0, recent_limit - 1)
end
local bucket = 'count:' .. (now - now % bucket_ms)
for counter, count in pairs(counts) do redis.call('HINCRBY', bucket, counter, count) end
redis.call('PEXPIRE', bucket, bucket_ms * buckets_kept)

local entry = redis.call('XADD', KEYS[1], '*', 'kind', 'events', 'body', table.concat(bodies, '\n'))
return {'ok', entry, #fresh, unpack(duplicates)}
