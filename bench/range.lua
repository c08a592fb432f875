-- Random unaligned ranges of 1 MiB: wrk ... -- OBJECT_SIZE HOST
local length = 1048576
local size, host

function init(arguments)
  size = tonumber(arguments[1])
  host = arguments[2]
  math.randomseed(os.time())
end

function request()
  local first = math.random(0, size - length)
  return wrk.format("GET", nil, { Host = host, Range = string.format("bytes=%d-%d", first, first + length - 1) })
end
