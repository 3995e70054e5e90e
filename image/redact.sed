# What Postfix, Dovecot, nginx and coturn say, without saying who: addresses and IP addresses are
# taken out; queue ids, host names of other servers and reasons stay, so that a mail can be followed
# by the id that its sender's server has.

# of a connection nothing is left but the fact, and probes make many
/ connect from [^ ]+$/d
/ disconnect from .* commands=0\/0$/d
/ lost connection after CONNECT from /d
/ warning: haproxy read: EOF$/d
/ haproxy: Client disconnected \(rip=[^)]*\): Connection reset by peer$/d
/Login aborted: .*\((no_auth_attempts|tls_handshake_not_finished)\)/d

# which name a client gave in TLS, where it is none of the domains: as many lines, and whatever
# text, as a stranger likes
/: (warning: )?TLS SNI .*( from .* not matched, using default chain| is invalid: .*)$/d

# who tries TURN, and for whom: as many lines as a stranger likes
/: ERROR: (check_stun_auth: |A peer IP .* denied)/d
/: session [0-9]+: /d

# what a client said that is no command or no address is repeated as it came
s/\b((Illegal address syntax from [^ ]+ in [A-Z]+|non-SMTP) command( from [^: ]+)?): .*/\1: <text>/
s/\b(improper command pipelining after [^ ]+ from [^: ]+): .*/\1: <text>/
s/\b((resent-)?message-id)=[^<].*/\1=<address>/

# in a reply, as Postfix repeats it: without quotes, so with < and > in it
s/\b([245][0-9]{2} [245](\.[0-9]+){2} )<.*>: /\1<address>: /
# with a quoted local part, which may hold spaces, > and escapes: "john doe"@x.org
s/<?"([^"\\]|\\.)*"[[:space:]]*(\(([^()]|\([^()]*\))*\)[[:space:]]*)*@[[:space:]]*(\[[^][:space:]]*\]|[^][:space:]<>()"',;:=[]+)>?/<address>/g
# whatever stands where an address belongs, quoted or strange
s/\b(from|to|orig_to|user|sender|recipient|sasl_username|sasl_sender|message-id|resent-message-id)=<[^>]+>/\1=<address>/g
s/\b(sasl_username|sasl_sender|user)=[^<,; ][^,; ]*/\1=<address>/g
s/\bhelo=<[^>]*>/helo=<name>/g
# in angle brackets with whatever else: a route, a comment, = as in SRS and VERP; and as headers are
# written to hide from robots
s/<[^<>]*(@|%40|[[:space:]]at[[:space:]])[^<>]*>/<address>/g
# with comments and spaces around the @: name (comment) @ x.org
s/<?[^][:space:]<>()"',;:=[]+[[:space:]]*(\(([^()]|\([^()]*\))*\)[[:space:]]*)*@[[:space:]]*(\(([^()]|\([^()]*\))*\)[[:space:]]*)*(\[[^][:space:]]*\]|[^][:space:]<>()"',;:=[]+)>?/<address>/g
# in a URL
s/[^][:space:]<>()"',;:=?&\/[]+%40[^][:space:]<>()"',;:=?&\/[]+/<address>/g
# IPv4, with four numbers and no more
s/(^|[^0-9.])([0-9]{1,3}\.){3}[0-9]{1,3}($|[^0-9.]|\.($|[^0-9]))/\1<ip>\3/g
s/(^|[^0-9.])([0-9]{1,3}\.){3}[0-9]{1,3}($|[^0-9.]|\.($|[^0-9]))/\1<ip>\3/g
# IPv6: four groups or more, or ::; the time of day has three
s/(^|[^[:alnum:]:])([0-9A-Fa-f]{1,4}:){3,7}[0-9A-Fa-f]{0,4}(:[0-9A-Fa-f]{1,4}){0,4}(\.[0-9]{1,3}){0,3}/\1<ip>/g
s/(^|[^[:alnum:]:])([0-9A-Fa-f]{1,4}:){1,6}(:[0-9A-Fa-f]{1,4}){1,6}(%[[:alnum:]]+)?($|[^[:alnum:]:])/\1<ip>\5/g
s/(^|[^[:alnum:]:])::(([0-9A-Fa-f]{1,4}:){0,6}(<ip>|[0-9A-Fa-f]{1,4}))?($|[^[:alnum:]:])/\1<ip>\5/g
