-- Reports each delivery to the relay daemon: to whom, and the author of each message. The message
-- is delivered whatever the answer is, and a daemon that does not answer keeps a delivery for two
-- seconds at most.
local http

function script_init(args)
  http = dovecot.http.client({
    proxy_socket_path = "/run/chatmail/auth.sock",
    request_max_attempts = "1",
    max_connect_attempts = "1",
    connect_timeout = "1s",
    request_timeout = "2s",
    request_absolute_timeout = "2s",
    auto_retry = "no",
    max_idle_time = "60s",
  })
  return 0
end

function dovecot_lua_notify_begin_txn(user)
  return { user = user, authors = {} }
end

function dovecot_lua_notify_event_message_new(context, event)
  local author = string.gsub(event.from_address or "", "%c", "")
  table.insert(context.authors, string.sub(author, 1, 320))
  -- another delivery had the mailbox locked, so the message has no number yet: it gets one before
  -- the next message of its author comes
  if (event.uid or 0) == 0 then
    local mailbox = context.user:mailbox(event.mailbox)
    mailbox:sync()
    mailbox:free()
  end
end

function dovecot_lua_notify_end_txn(context, success)
  if not success or #context.authors == 0 then
    return
  end
  local asked, result = pcall(function()
    local request = http:request({ url = "http://relay.invalid/delivered", method = "POST" })
    request:add_header("Content-Type", "text/plain")
    request:set_payload(context.user.username .. "\n" .. table.concat(context.authors, "\n"))
    return request:submit()
  end)
  if not asked then
    dovecot.i_warning("delivered: the relay daemon was not asked")
  elseif result:status() ~= 200 then
    dovecot.i_warning("delivered: the relay daemon answered " .. result:status())
  end
end
