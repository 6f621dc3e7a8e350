-- Takes from the bucket KEYS[1], whose state is "TIME DEBT": what the debt was, in
-- nanoseconds, at a time of this server, in microseconds. Numbers are doubles, in which both
-- are exact; one time in nanoseconds would not be.
-- ARGV: the cost, negative to give back, and the debt of an empty bucket.
-- Returns whether the tokens were taken, and the debt.
local cost, full = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local debt = 0
local state = redis.call('GET', KEYS[1])
if state then
	local at, owed = string.match(state, '^(%d+) (%d+)$')
	local passed = math.max(0, now - tonumber(at)) -- the clock may have been set back
	debt = math.min(full, math.max(0, tonumber(owed) - passed * 1000))
end
if cost > 0 and debt + cost > full then
	return {0, debt}
end
if cost ~= 0 then
	debt = math.max(0, debt + cost)
	if debt > 0 then
		local expires = string.format('%.0f', math.ceil(debt / 1000000))
		redis.call('SET', KEYS[1], string.format('%.0f %.0f', now, debt), 'PX', expires)
	elseif state then
		redis.call('DEL', KEYS[1])
	end
end
return {1, debt}
