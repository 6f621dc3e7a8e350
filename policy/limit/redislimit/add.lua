-- Adds ARGV[1] to the sum KEYS[1], which is gone at ARGV[2], in seconds since 1970.
-- Returns the sum as text: numbers are doubles, exact to 2^53 only.
local added = redis.pcall('INCRBY', KEYS[1], ARGV[1])
if type(added) == 'table' then -- an error
	redis.call('SET', KEYS[1], '9223372036854775807') -- more than can be counted
end
local sum = redis.call('GET', KEYS[1])
if string.sub(sum, 1, 1) == '-' then
	redis.call('DEL', KEYS[1])
	return '0'
end
redis.call('EXPIREAT', KEYS[1], ARGV[2])
return sum
