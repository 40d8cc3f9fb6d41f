-- Wireshark dissector of the BlueTrace protocol (docs/PROTOCOL.md): beacons on UDP and sessions on TCP.
-- Install: copy it to the folder "Personal Lua Plugins" (Help, About Wireshark, Folders), or
--   wireshark -X lua_script:reports/wireshark/bluetrace.lua run.pcapng
-- The ports are those of `sim run --pcap`. Other ports: "Decode As".

local bluetrace = Proto("bluetrace", "BlueTrace")
local port = 14000

local f = {
  message = ProtoField.string("bluetrace.message", "Message"),
  part = ProtoField.string("bluetrace.part", "Part of a beacon"),
  tempid = ProtoField.string("bluetrace.tempid", "TempID"),
  start = ProtoField.string("bluetrace.start", "Start"),
  expiry = ProtoField.string("bluetrace.expiry", "Expiry"),
  time = ProtoField.string("bluetrace.time", "Time"),
  version = ProtoField.string("bluetrace.version", "Version"),
  command = ProtoField.string("bluetrace.command", "Command"),
  answer = ProtoField.string("bluetrace.answer", "Answer"),
  verdict = ProtoField.string("bluetrace.verdict", "Verdict on a login"),
  lines = ProtoField.string("bluetrace.lines", "Lines to follow"),
  login = ProtoField.string("bluetrace.login", "Username or password"),
}
for _, field in pairs(f) do
  table.insert(bluetrace.fields, field)
end
local malformed = ProtoExpert.new("bluetrace.malformed", "No beacon", expert.group.PROTOCOL, expert.severity.NOTE)
bluetrace.experts = { malformed }

-- find returns the longest key of a table with which a text begins, and its value.
local function find(texts, text)
  local longest
  for key in pairs(texts) do
    if text:sub(1, #key) == key and (longest == nil or #key > #longest) then
      longest = key
    end
  end
  return longest, texts[longest or ""]
end

local function is_tempid(text)
  return text:match("^[1-9]%d*$") ~= nil and #text == 20
end

local function is_time(text)
  return text:match("^%d%d/%d%d/%d%d%d%d %d%d:%d%d:%d%d$") ~= nil
end

-- The start of a beacon and its expiry have one length: of the datagrams from one port to another, the second such
-- part is the expiry. Wireshark dissects each packet in order once, and then again in any order.
local awaits_expiry = {} -- by path
local is_expiry = {} -- by number of the packet

function bluetrace.init()
  awaits_expiry, is_expiry = {}, {}
end

local function dissect_beacon(buffer, pinfo, tree)
  local text = buffer:raw()
  local path = ("%s:%d %s:%d"):format(tostring(pinfo.src), pinfo.src_port, tostring(pinfo.dst), pinfo.dst_port)
  local info
  if #text == 59 then
    tree:add(f.message, "beacon"):set_generated()
    tree:add(f.tempid, buffer(0, 20))
    tree:add(f.start, buffer(20, 19))
    tree:add(f.expiry, buffer(39, 19))
    tree:add(f.version, buffer(58, 1))
    local times = is_time(text:sub(21, 39)) and is_time(text:sub(40, 58))
    if is_tempid(text:sub(1, 20)) and times and text:sub(59) == "1" then
      info = "Beacon " .. text:sub(1, 20)
    end
  elseif #text == 20 then
    awaits_expiry[path] = false
    tree:add(f.part, "TempID"):set_generated()
    tree:add(f.tempid, buffer(0, 20))
    info = is_tempid(text) and "Beacon, TempID " .. text
  elseif #text == 19 then
    if not pinfo.visited then
      is_expiry[pinfo.number] = awaits_expiry[path]
      awaits_expiry[path] = not awaits_expiry[path]
    end
    local name = is_expiry[pinfo.number] and "expiry" or "start"
    tree:add(f.part, name):set_generated()
    tree:add(f[name], buffer(0, 19))
    info = is_time(text) and ("Beacon, %s %s"):format(name, text)
  elseif #text == 1 then
    tree:add(f.part, "version"):set_generated()
    tree:add(f.version, buffer(0, 1))
    info = text == "1" and "Beacon, version 1"
  end
  if not info then
    info = ("No beacon (%d bytes)"):format(#text)
    tree:add_proto_expert_info(malformed)
  end
  pinfo.cols.info = info
end

local commands = { ["Download_tempID"] = "download", ["Upload_contact_log"] = "upload", ["log out"] = "logout",
  ["logout"] = "logout" }
local answers = {
  ["Welcome to the BlueTrace Simulator!"] = "welcome",
  ["Invalid Password. Please try again"] = "wrong password",
  ["Invalid Password. Your account has been blocked. Please try again later"] = "blocked now",
  ["Your account is blocked due to multiple login failures. Please try again later"] = "blocked",
}

-- dissect_phone adds the message of a phone at the beginning of a text, and returns its name and its length.
local function dissect_phone(buffer, text, tree)
  local command, name = find(commands, text)
  if command then
    tree:add(f.command, buffer(0, #command))
    return name, #command
  elseif is_tempid(text:sub(1, 20)) then
    tree:add(f.tempid, buffer(0, 20))
    return "TempID " .. text:sub(1, 20), 20
  elseif is_time(text:sub(1, 19)) then
    tree:add(f.time, buffer(0, 19))
    return "time " .. text:sub(1, 19), 19
  elseif text:match("^%d+$") and #text <= 7 then
    tree:add(f.lines, buffer())
    return text .. " lines follow", #text
  end
  tree:add(f.login, buffer())
  return "username or password", #text
end

-- dissect_server does the same for the server.
local function dissect_server(buffer, text, tree)
  local answer, verdict = find(answers, text)
  if answer then
    tree:add(f.answer, buffer(0, #answer))
    tree:add(f.verdict, verdict):set_generated()
    return verdict, #answer
  elseif is_tempid(text:sub(1, 20)) then
    tree:add(f.tempid, buffer(0, 20))
    return "TempID " .. text:sub(1, 20), 20
  elseif text:sub(1, 1) == "1" then
    tree:add(f.answer, buffer(0, 1))
    return "acknowledged", 1
  end
  tree:add(f.answer, buffer())
  return "part of an answer", #text
end

local function dissect_session(buffer, pinfo, tree)
  local from_server = pinfo.dst_port ~= pinfo.match_uint
  local names, at = {}, 0
  while at < buffer:len() do
    local rest = buffer(at):tvb()
    local dissect = from_server and dissect_server or dissect_phone
    local name, size = dissect(rest, rest:raw(), tree)
    table.insert(names, name)
    at = at + size
  end
  pinfo.cols.info = (from_server and "Server: " or "Phone: ") .. table.concat(names, ", ")
end

function bluetrace.dissector(buffer, pinfo, tree)
  if buffer:len() == 0 then
    return 0
  end
  pinfo.cols.protocol = "BlueTrace"
  local own = tree:add(bluetrace, buffer())
  if pinfo.port_type == 3 then -- UDP
    dissect_beacon(buffer, pinfo, own)
  else
    dissect_session(buffer, pinfo, own)
  end
  return buffer:len()
end

DissectorTable.get("udp.port"):add(port, bluetrace)
DissectorTable.get("tcp.port"):add(port, bluetrace)
