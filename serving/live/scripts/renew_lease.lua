-- One good read of a replica: tell what it holds, learn what changed since.
-- KEYS  1 hash of visibility rows   2 its sequence number   3 stream of changes   4 hash of replicas
-- ARGV  replica, sequence number that it holds ('' = none)
-- Returns  {'none'} | {'changes', sequence, entries} | {'all', sequence, {subject, rows, ...}}
local sequence = redis.call('GET', KEYS[2])
if not sequence then return {'none'} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[4], ARGV[1], string.format('%s:%.0f', ARGV[2] == '' and '-1' or ARGV[2], now))
if ARGV[2] == sequence then return {'changes', sequence, {}} end
if ARGV[2] ~= '' and tonumber(ARGV[2]) < tonumber(sequence) then
  local entries = redis.call('XRANGE', KEYS[3], '(' .. ARGV[2] .. '-0', '+')
  if #entries > 0 and entries[1][2][2] == ARGV[2] then return {'changes', sequence, entries} end
end
return {'all', sequence, redis.call('HGETALL', KEYS[1])}
