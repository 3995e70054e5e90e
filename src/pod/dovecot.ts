/**
 * Dovecot's configuration (2.4 syntax): one user for all, no capability, logins and accounts asked
 * of the relay daemon.
 */
import { isAddressLiteral } from "../api/domain.ts";
import { folders, loopback, programs, servedTls, sockets, vmail } from "./layout.ts";
import { type DomainPlan, mainDomain, otherDomains, type Plan } from "./plan.ts";

export function dovecotFiles(plan: Plan): Record<string, string> {
  return { "dovecot.conf": dovecotConf(plan) };
}

/**
 * The contact that clients show, as a URI; nothing for an address with characters that would need
 * escaping. Dovecot checks the value before it expands variables, so a `%` in any form would keep
 * it from starting.
 */
export function adminContact(mail: string | undefined): string | undefined {
  return mail !== undefined && /^[\w.!'*+=~-]+@[\w.-]+$/.test(mail) ? `mailto:${mail}` : undefined;
}

/** Sessions, asleep or not, and those that have not logged in yet. */
const loginConnections = (imapConnections: number) => Math.max(20_000, 2 * imapConnections);

const pushes = ({ services }: DomainPlan) => services.push.enabled;

/**
 * Settings that accounts of a domain have instead of those in the file, which are the main
 * domain's: fields of userdb (src/relay/auth). Undefined where there are none.
 */
export function dovecotFieldsOf(of: DomainPlan, plan: Plan): Record<string, string> | undefined {
  const main = mainDomain(plan);
  const fields = {
    ...(of.accounts.quotaBytes !== main.accounts.quotaBytes && { quota_storage_size: `${of.accounts.quotaBytes}B` }),
    ...(adminContact(of.privacy.mail) !== adminContact(main.privacy.mail) && {
      mail_server_admin: adminContact(of.privacy.mail) ?? "",
    }),
    ...(plan.domains.some(pushes) && !pushes(of) && { "imap_capability/XDELTAPUSH": "no" }),
  };
  return Object.keys(fields).length > 0 ? fields : undefined;
}

/**
 * The certificate that a client gets that names one of the other domains in TLS; and the
 * capabilities before it has logged in.
 */
function otherNames(plan: Plan): string {
  return otherDomains(plan)
    .filter(({ domain }) => !isAddressLiteral(domain))
    .map(
      ({ domain }) => `local_name ${domain} {
  ssl_server_cert_file = ${servedTls(domain)}
  ssl_server_key_file = ${servedTls(domain)}
}
`,
    )
    .join("");
}

/** Of a process of Dovecot's that clients log in at. */
const loginService = ({ connections }: Plan, options: string) => `  chroot =
  executable = ${[programs.startLogin, `${folders.dovecotConfig}/dovecot.conf`, "/usr/lib/dovecot/imap-login", options].join(" ").trim()}
  # a process serves many connections, and for as long as they last
  restart_request_count = unlimited
  # one alone, for all: once it is full, each new connection ends the oldest that has not logged in
  process_limit = 1
  client_limit = ${loginConnections(connections.imap)}
  vsz_limit = 2G
`;

function dovecotConf(plan: Plan): string {
  const { accounts, domain, privacy } = mainDomain(plan);
  const push = plan.domains.some(pushes);
  const admin = adminContact(privacy.mail);
  return `dovecot_config_version = 2.4.1
dovecot_storage_version = 2.4.1

base_dir = ${folders.dovecotRun}
state_dir = ${folders.dovecotRun}/state
log_path = /dev/stderr
# neither names nor addresses: who reads mail when is nobody's business
login_log_format_elements = method=%{mechanism} %{secured} session=<%{session}>
mail_log_prefix = "mail(%{session}): "
deliver_log_format = %{message}
import_environment {
  LD_PRELOAD = ${programs.noDelay}
}

protocols {
  imap = yes
  lmtp = yes
}

ssl = required
ssl_min_protocol = TLSv1.3
ssl_server_cert_file = ${servedTls(domain)}
ssl_server_key_file = ${servedTls(domain)}
${otherNames(plan)}# a new certificate ends no session
shutdown_clients = no
# nobody reads statistics of Dovecot: each session would be kept there, too
stats_writer_socket_path =

# whose word for the client's address counts: nginx's
haproxy_trusted_networks = 127.0.0.1
haproxy_timeout = 3s

default_internal_user = ${vmail.name}
default_internal_group = ${vmail.name}
default_login_user = ${vmail.name}
default_client_limit = 20000
first_valid_uid = ${vmail.uid}
first_valid_gid = ${vmail.gid}
mail_uid = ${vmail.uid}
mail_gid = ${vmail.gid}

auth_mechanisms = plain
# ~ is in the names of the relay's own probe alone
auth_username_chars = abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ01234567890.-_@[:]~
# whoever tries passwords waits, and no worker with them
auth_failure_delay = 2s
passdb lua {
  driver = lua
  lua_file = ${programs.authLua}
  lua_settings {
    socket = ${sockets.auth}
  }
  result_failure = return-fail
  result_internalfail = return-fail
}
# reached only by what the first one passes on: a refusal that is not a wrong password, with the daemon's own code and sentence. No password is right here
passdb later {
  driver = static
  static_password = {SHA512.HEX}${"0".repeat(128)}
}
userdb prefetch {
  driver = prefetch
}
userdb lua {
  driver = lua
  lua_file = ${programs.authLua}
  lua_settings {
    socket = ${sockets.auth}
  }
}

mail_driver = maildir
mail_path = ~/
mailbox_list_layout = maildir++
mail_cache_max_size = 500k
mail_plugins {
  mail_compress = yes
  quota = yes
}
mail_compress_write_method = gz
${admin === undefined ? "" : `mail_server_admin = ${admin}\n`}namespace inbox {
  inbox = yes
  mailbox Drafts {
    special_use = \\Drafts
  }
  mailbox Junk {
    special_use = \\Junk
  }
  mailbox Trash {
    special_use = \\Trash
  }
  mailbox Sent {
    special_use = \\Sent
  }
  mailbox "Sent Messages" {
    special_use = \\Sent
  }
}

# outside of the root, so that an account of another domain may have another
quota_storage_size = ${accounts.quotaBytes}B
quota "User quota" {
  driver = count
  storage_grace = 0
  warning trim {
    quota_storage_percentage = 75
    execute ${sockets.quota} {
      driver = unix
      args = trim %{user}
    }
  }
}

mail_attribute {
  dict proxy {
    name = metadata
    socket_path = ${sockets.metadata}
  }
}

imap_capability {
  # a session that compresses or uses NOTIFY can't hibernate: it keeps a process of 2 to 3 MB (decision 0017)
  "COMPRESS=DEFLATE" = no
  NOTIFY = no
  XCHATMAIL = yes${push ? "\n  XDELTAPUSH = yes" : ""}
}
imap_hibernate_timeout = 30s
# mail that comes while a session looks at its folder may be missed: it looks again (decision 0062)
mailbox_idle_check_interval = 2s
protocol imap {
  mail_log_prefix = "imap(%{session}): "
  imap_metadata = yes
  mail_plugins {
    imap_quota = yes
  }
}

protocol lmtp {
  # the relay daemon, without the auth process and its workers between
  auth_socket_path = ${sockets.userdb}
  mail_log_prefix = "lmtp(%{session}): "
  lmtp_add_received_header = no
  lmtp_user_concurrency_limit = unlimited
  mail_plugins {
    # tells the relay daemon (image/delivered.c)
    delivered = yes
    notify = yes
  }
}

# behind nginx, which ends TLS, and counts clients before they have logged in, as Dovecot would not
service imap-login {
${loginService(plan, "-o ssl=no")}  process_min_avail = 1
  inet_listener imap {
    port = 0
  }
  inet_listener imaps {
    listen = 127.0.0.1
    port = ${loopback.imaps}
    ssl = no
    haproxy = yes
  }
}
# for STARTTLS, which nginx does not know: nobody's, as long as nobody comes
service imap-starttls-login {
  type = login
  protocol = imap
  user = ${vmail.name}
${loginService(plan, "")}  inet_listener imap {
    listen = 127.0.0.1
    port = ${loopback.imap}
    haproxy = yes
  }
}
service imap {
  user = ${vmail.name}
  # one process after the other serves many users: a login costs a quarter
  restart_request_count = 1000
  process_min_avail = 1
  # those whose sessions hibernate end soon: each holds 2 MB
  idle_kill_interval = 5s
  process_limit = ${plan.connections.imap}
  unix_listener imap-master {
    user = ${vmail.name}
  }
}
service imap-hibernate {
  # in the place of what the others load: it waits for no mail itself
  executable = /usr/bin/env LD_PRELOAD=${programs.closeInBackground} /usr/lib/dovecot/imap-hibernate
  unix_listener imap-hibernate {
    mode = 0660
    group = ${vmail.name}
  }
}
# for what comes by the queue, and to mailboxes that are new or nearly full: none waits for it
service lmtp {
  user = ${vmail.name}
  chroot =
  restart_request_count = 1000
  # each holds 3 MB
  idle_kill_interval = 10s
  unix_listener ${sockets.lmtp} {
    mode = 0666
  }
}
service auth {
  chroot =
}
service auth-worker {
  user = ${vmail.name}
  # what the auth process opens at most, whatever stands here: with less, the master drops connections, and logins of a crowd fail
  process_limit = 30
}
service anvil {
  chroot =
  unix_listener anvil {
    mode = 0660
    group = ${vmail.name}
  }
  # delays by client address punish everyone behind it
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service stats {
  chroot =
}
# asked by programs that start with no configuration named, which none here does
service config {
  idle_kill_interval = 10s
}
`;
}
