-- load.lua — what wrk sends: webhooks that differ in the video's id; and one line of JSON with what came back.
--
--   wrk ... -s load.lua URL -- plain SECRET RUN      the body with the shared secret; RUN, 8 hex digits, begins each id
--   wrk ... -s load.lua URL -- signed FILE           requests that tests/bench/signed.py has made; none is sent twice

local format = string.format
local path, next_request

-- A body of always the same length, so that the head is made once. It is cut where the id goes.
local URL_HEAD = "https://videos.example.com/v1/generations/"
local URL_TAIL = "/content.mp4?expires=1893456000&signature=4f9c1d2be07a8836d51c0e9f7a6b4c3d"

local function plain(secret, run)
    local head = "POST " .. path .. " HTTP/1.1\r\nHost: " .. wrk.headers["Host"] .. "\r\nContent-Type: application/json\r\n"
        .. "User-Agent: wrk\r\nx-webhook-secret: " .. secret .. "\r\nContent-Length: "
    local before = '{"videoId":"'
    local between = '","videoUrl":"' .. URL_HEAD
    local after = URL_TAIL .. '","status":"completed"}'
    local id_head = run .. "-0000-4000-8000-"
    local count = 0

    before = head .. (#before + 36 + #between + 36 + #after) .. "\r\n\r\n" .. before
    return function()
        count = count + 1
        local id = id_head .. format("%012x", count)
        return before .. id .. between .. id .. after
    end
end

local function signed(file)
    local lines = io.lines(file)
    local head = "POST " .. path .. " HTTP/1.1\r\nHost: " .. wrk.headers["Host"] .. "\r\nContent-Type: application/json\r\n"
        .. "User-Agent: wrk\r\nwebhook-timestamp: " .. lines() .. "\r\nwebhook-id: "
    local before = '{"videoId":"'
    local between = '","videoUrl":"' .. URL_HEAD
    local after = URL_TAIL .. '","status":"completed"}'
    local tail = "\r\nContent-Length: " .. (#before + 36 + #between + 36 + #after) .. "\r\n\r\n" .. before

    return function()
        local line = lines() or error("all signed requests are sent: " .. file .. " has too few")
        local id = line:sub(1, 36)
        return head .. line:sub(38, 62) .. "\r\nwebhook-signature: v1," .. line:sub(64) .. tail
            .. id .. between .. id .. after
    end
end

function init(arguments)
    path = wrk.path
    next_request = ({plain = plain, signed = signed})[arguments[1]](arguments[2], arguments[3])
end

function request()
    return next_request()
end

function done(summary, latency, requests)
    local errors = summary.errors
    io.write(format('{"answered":%d,"bad_status":%d,"broken":%d,"timeouts":%d,"microseconds":%d,'
        .. '"p50_us":%d,"p99_us":%d,"max_us":%d}\n',
        summary.requests, errors.status, errors.connect + errors.read + errors.write, errors.timeout, summary.duration,
        latency:percentile(50), latency:percentile(99), latency.max))
end
