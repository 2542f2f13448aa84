-- wrk: the same request, some at once on each connection.
--
--     wrk ... -s pipeline.lua URL -- FILE NUMBER

function init(args)
    local file = assert(io.open(args[1], "rb"))
    text = string.rep(file:read("*a"), tonumber(args[2]))
    file:close()
end

function request()
    return text
end

function done(summary, latency, requests)
    local e = summary.errors
    io.write(string.format("requests=%d errors=%d us=%d\n", summary.requests,
        e.connect + e.read + e.write + e.status + e.timeout,
        summary.duration))
end
