-- Bring the state's copy of visibility from one sequence number to the next, if it still stands there.
-- KEYS  1 hash of visibility rows   2 its sequence number   3 stream of changes   4 hash of replicas
-- ARGV  expected sequence ('' = none), new sequence, changes kept, '1' to rebuild,
--       then pairs: subject, encoded rows or '' (visible to everyone)
-- Returns  {'ok'} | {'moved', current sequence or ''}
local current = redis.call('GET', KEYS[2]) or ''
if current ~= ARGV[1] then return {'moved', current} end
local rebuild = ARGV[4] == '1'
if rebuild then
  redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
  -- Replicas that the lost copy knew may still trust their mirrors: wait for one whole lease.
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  redis.call('HSET', KEYS[4], '(before the rebuild)', string.format('-1:%.0f', now))
end
local change = {'after', ARGV[1]}
for i = 5, #ARGV, 2 do
  change[#change + 1], change[#change + 2] = ARGV[i], ARGV[i + 1]
  if ARGV[i + 1] == '' then
    redis.call('HDEL', KEYS[1], ARGV[i])
  else
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  end
end
redis.call('SET', KEYS[2], ARGV[2])
if not rebuild then
  redis.call('XADD', KEYS[3], 'MAXLEN', ARGV[3], ARGV[2] .. '-0', unpack(change))
end
return {'ok'}
