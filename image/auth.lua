-- Dovecot asks the relay daemon, by HTTP on a unix socket: is this the password, who is this, who
-- is there. The daemon decides and makes accounts; answers are key=value lines. An outage is a
-- temporary failure, never "wrong password".
local http

-- the daemon says by itself that it is busy before that (src/relay/auth/server.ts), and Dovecot
-- gives up a worker after a minute
local patience = "50s"

function script_init(args)
  http = dovecot.http.client({
    proxy_socket_path = args["socket"],
    request_max_attempts = "1",
    max_connect_attempts = "1",
    connect_timeout = "2s",
    request_timeout = patience,
    request_absolute_timeout = patience,
    auto_retry = "no",
    max_idle_time = "60s",
  })
  return 0
end

local function ask(path, body, client)
  local asked, result = pcall(function()
    local request = http:request({ url = "http://relay.invalid" .. path, method = "POST" })
    request:add_header("Content-Type", "text/plain")
    if client ~= nil then
      request:add_header("Client-Address", client)
    end
    request:set_payload(body)
    return request:submit()
  end)
  if not asked then
    return 0, ""
  end
  return result:status(), result:payload()
end

local function fields(text)
  local found = {}
  for key, value in text:gmatch("([^=\n]+)=([^\n]*)") do
    found[key] = value
  end
  return found
end

local unavailable = "the relay daemon answered "

function auth_password_verify(request, password)
  local status, body = ask("/passdb", request.user .. "\n" .. password, request.remote_ip)
  if status == 200 then
    return dovecot.auth.PASSDB_RESULT_OK, fields(body)
  elseif status == 401 then
    return dovecot.auth.PASSDB_RESULT_PASSWORD_MISMATCH, "no"
  elseif status == 404 then
    return dovecot.auth.PASSDB_RESULT_USER_UNKNOWN, "no"
  elseif status == 429 then
    -- on to the passdb that refuses with this sentence
    return dovecot.auth.PASSDB_RESULT_OK, { noauthenticate = "y", reason = body }
  end
  return dovecot.auth.PASSDB_RESULT_INTERNAL_FAILURE, unavailable .. status
end

function auth_passdb_lookup(request)
  return dovecot.auth.PASSDB_RESULT_INTERNAL_FAILURE, "passwords are not given away"
end

function auth_userdb_lookup(request)
  local status, body = ask("/userdb", request.user)
  if status == 200 then
    return dovecot.auth.USERDB_RESULT_OK, fields(body)
  elseif status == 404 then
    return dovecot.auth.USERDB_RESULT_USER_UNKNOWN, "no"
  end
  return dovecot.auth.USERDB_RESULT_INTERNAL_FAILURE, unavailable .. status
end

function auth_userdb_iterate()
  local status, body = ask("/users", "")
  local users = {}
  if status == 200 then
    for user in body:gmatch("[^\n]+") do
      users[#users + 1] = user
    end
  end
  return users
end
