/**
 * Postfix's configuration. Mail flow: our users submit on 465 and 587, other servers on 25; a
 * milter of the relay daemon judges both before the queue; from the queue mail goes to Dovecot by
 * LMTP or to other servers by SMTP with verified TLS.
 */
import { isAddressLiteral, literalFamily } from "../api/domain.ts";
import { reverseName } from "../lib/reverse-name.ts";
import { addressDomain } from "../mail/address.ts";
import { folders, loopback, postfix, servedTls, sockets } from "./layout.ts";
import { mainDomain, nameDomain, otherDomains, type Plan } from "./plan.ts";

/** The service that tries HTTPS before SMTP; the relay daemon names it in its answers. */
export const httpsService = "https";

/**
 * The service for domains of which no server answered HTTPS when it was looked for; the relay
 * daemon names it in its answers.
 */
export const unreachedService = "unreached";

/** Deliveries at the same time by HTTPS: some 1 MB for each, while it runs. */
const remoteProcesses = 200;
/** By SMTP: to domains that are new or known to answer, and to those that did not. */
const smtpProcesses = { smtp: 150, [unreachedService]: 100 };

/** Submission sessions of one client: 300 devices behind one address, by default. */
export const submissionsPerClient = ({ connections }: Plan): number => Math.max(1, Math.floor(connections.smtp / 3));

/** Connections to port 25 at the same time: some 3 MB for each, while it is open. */
const incomingProcesses = 250;
/** Of one client. A relay delivers ten mails at once to a domain. */
const incomingEach = 30;

/**
 * Errors of a session that are answered like all else. Clients send an envelope before they read a
 * reply: each of its recipients (1,000: smtpd_recipient_limit) may be refused, and the session is
 * still good. Whoever tries passwords waits for the relay daemon.
 */
const errorsOfSession = 1100;

const map = (file: string) => `regexp:${folders.postfixConfig}/${file}`;

export function postfixFiles(plan: Plan): Record<string, string> {
  const sni = serverNames(plan);
  return {
    "main.cf": settings(mainSettings(plan)),
    "master.cf": services(masterServices(plan)),
    login_map: loginMap,
    submission_headers: submissionHeaders,
    delivery_headers: deliveryHeaders,
    delivery_status: deliveryStatus,
    ...(sni !== "" && { server_names: sni }),
  };
}

/**
 * Which certificate a client gets that names a domain in TLS. One that names none, or another, gets
 * the main one. Read by each process as it starts.
 */
function serverNames(plan: Plan): string {
  const named = otherDomains(plan).filter(({ domain }) => !isAddressLiteral(domain));
  return named.map(({ domain }) => `${domain} ${servedTls(domain)}\n`).join("");
}

type Settings = Readonly<Record<string, string | number>>;

export function mainSettings(plan: Plan): Settings {
  const name = nameDomain(plan).domain;
  return {
    compatibility_level: "3.10",
    maillog_file: "/dev/stdout",
    queue_directory: folders.queue,
    data_directory: folders.postfixState,
    mail_owner: postfix.name,
    setgid_group: postfix.dropGroup,
    enable_long_queue_ids: "yes",
    // names
    myhostname: plan.hostname ?? hostName(name),
    myorigin: addressDomain(name),
    mydestination: plan.domains.map(({ domain }) => addressDomain(domain)).join(" "),
    mynetworks: "127.0.0.0/8 [::1]/128",
    inet_interfaces: "all",
    inet_protocols: "all",
    ...addressPreference(plan),
    smtpd_banner: "$myhostname ESMTP",
    // local delivery: Dovecot knows who exists
    local_transport: `lmtp:unix:${sockets.lmtp}`,
    local_recipient_maps: "",
    alias_maps: "",
    alias_database: "",
    lmtp_header_checks: map("delivery_headers"),
    // servers in special-purpose networks (networks.ts) do not exist for Postfix, by whatever name
    smtp_dns_reply_filter: `socketmap:unix:${sockets.routes}:dns-reply`,
    smtp_delivery_status_filter: map("delivery_status"),
    // the way to other servers: the relay daemon knows the routes. While it is away mail waits, and
    // never goes out unverified
    transport_maps: `socketmap:unix:${sockets.routes}:transport`,
    // a server that does not answer is left in seconds; the route that failed counts as the first
    // of these sessions
    smtp_connect_timeout: "10s",
    smtp_helo_timeout: "30s",
    smtp_mx_session_limit: 4,
    smtp_mx_address_limit: 4,
    // a domain that does not answer costs one process, and one slow domain takes a few and no more
    smtp_initial_destination_concurrency: 1,
    [`${unreachedService}_initial_destination_concurrency`]: 1,
    smtp_destination_concurrency_limit: remoteProcesses / 20,
    [`${unreachedService}_destination_concurrency_limit`]: remoteProcesses / 20,
    [`${httpsService}_destination_concurrency_limit`]: remoteProcesses / 20,
    // nothing is rewritten: signatures stay whole
    disable_mime_input_processing: "yes",
    disable_mime_output_conversion: "yes",
    smtp_line_length_limit: 0,
    lmtp_line_length_limit: 0,
    smtputf8_enable: "no",
    local_header_rewrite_clients: "",
    // an address has one spelling: what stands before the @ never names another address
    allow_percent_hack: "no",
    swap_bangpath: "no",
    // sizes and times; where a domain allows less, the relay daemon says so
    message_size_limit: Math.max(...plan.domains.map(({ messages }) => messages.maxBytes)),
    // a queue that fills the volume must not take the room of mailboxes
    queue_minfree: plan.reservedBytes,
    mailbox_size_limit: 0,
    maximal_queue_lifetime: "2d",
    bounce_queue_lifetime: "2d",
    // a chat waits for seconds, not for the five minutes that mail is used to
    minimal_backoff_time: "10s",
    queue_run_delay: "10s",
    // mail that the relay daemon delivers itself never comes to the queue manager, which would have
    // to say after each hundred mails that there is room for more
    in_flow_delay: 0,
    transport_retry_time: "5s",
    // smtpd gives up when it finds no SASL server; with the usual 60 s, a restart of the relay
    // daemon would shut submission for that long
    service_throttle_time: "1s",
    // who may do what; each service in master.cf says more
    smtpd_relay_restrictions: "reject",
    smtpd_sender_login_maps: map("login_map"),
    smtpd_helo_required: "yes",
    smtpd_soft_error_limit: errorsOfSession,
    smtpd_hard_error_limit: errorsOfSession,
    // VRFY is answered as by other chatmail relays: 252 for every address
    smtpd_discard_ehlo_keywords: "silent-discard, etrn, vrfy",
    smtpd_etrn_restrictions: "reject",
    smtpd_peername_lookup: "no",
    // who counts as one client: a /64, as everywhere in the pod
    smtpd_client_ipv6_prefix_length: 64,
    smtpd_sasl_type: "dovecot",
    smtpd_sasl_path: sockets.sasl,
    smtpd_tls_auth_only: "yes",
    milter_default_action: "tempfail",
    // bounces, which Postfix writes itself, are signed
    non_smtpd_milters: `unix:${sockets.bounceMilter}`,
    internal_mail_filter_classes: "bounce",
    notify_classes: "",
    // TLS, as server and as client
    smtpd_tls_security_level: "encrypt",
    smtpd_tls_chain_files: servedTls(mainDomain(plan).domain),
    ...(serverNames(plan) !== "" && { tls_server_sni_maps: `texthash:${folders.postfixConfig}/server_names` }),
    smtpd_tls_mandatory_protocols: ">=TLSv1.2",
    smtpd_tls_exclude_ciphers: "aNULL, RC4, MD5, DES",
    smtp_tls_security_level: "verify",
    smtp_tls_policy_maps: `socketmap:unix:${sockets.routes}:tls-policy`,
    smtp_tls_mandatory_protocols: ">=TLSv1.2",
    // DANE, where the relay daemon asks for it
    ...(plan.dnssec && { smtp_dns_support_level: "dnssec" }),
    smtp_tls_servername: "hostname",
    smtp_tls_CAfile: "/etc/ssl/certs/ca-certificates.crt",
    tls_preempt_cipherlist: "yes",
    // no key-value files: nothing to convert, nothing to lose
    default_database_type: "cdb",
    smtp_tls_session_cache_database: "",
    smtpd_tls_session_cache_database: "",
    address_verify_map: "",
  };
}

/**
 * What the relay calls itself to other servers. An address literal is no host name, so it takes its
 * reverse name.
 */
function hostName(domain: string): string {
  return isAddressLiteral(domain) ? reverseName(domain) : domain;
}

/**
 * The proof of an address literal is the address that its mail comes from (src/relay/filter), so a
 * server that has addresses of both families is connected to by the family of the literal.
 */
function addressPreference(plan: Plan): Settings {
  const family = literalFamily(plan.domains.map(({ domain }) => domain));
  return family === undefined ? {} : { smtp_address_preference: family === 6 ? "ipv6" : "ipv4" };
}

interface Service {
  name: string;
  type: "inet" | "unix" | "unix-dgram";
  /** Starts without root's rights; most do. */
  privileged?: boolean;
  private?: boolean;
  wakeup?: string;
  /** Processes at most; undefined: default_process_limit. */
  most?: number;
  program: string;
  options?: Settings;
}

function masterServices(plan: Plan): readonly Service[] {
  const most = plan.connections.smtp;
  const submission: Settings = {
    smtpd_tls_mandatory_protocols: ">=TLSv1.3",
    smtpd_sasl_auth_enable: "yes",
    smtpd_reject_unlisted_recipient: "no",
    smtpd_helo_restrictions: "reject_invalid_helo_hostname,permit",
    smtpd_sender_restrictions: "reject_sender_login_mismatch,permit_sasl_authenticated,reject",
    smtpd_recipient_restrictions: "",
    smtpd_relay_restrictions: "permit_sasl_authenticated,reject",
    smtpd_client_connection_count_limit: submissionsPerClient(plan),
    smtpd_milters: `unix:${sockets.outgoingMilter}`,
    cleanup_service_name: "authclean",
  };
  const fromBalancer: Settings = plan.proxyProtocol ? { smtpd_upstream_proxy_protocol: "haproxy" } : {};
  return [
    {
      name: "smtp",
      type: "inet",
      most: incomingProcesses,
      program: "smtpd",
      options: {
        ...fromBalancer,
        smtpd_client_connection_count_limit: incomingEach,
        smtpd_relay_restrictions: "reject_unauth_destination",
        smtpd_milters: `unix:${sockets.incomingMilter}`,
      },
    },
    {
      // 465, and 443 for those who ask for it: behind nginx, which counts clients before they have
      // begun TLS, as Postfix would not. The client is whom nginx names, never the loopback that
      // mynetworks trusts
      name: `127.0.0.1:${loopback.submissions}`,
      type: "inet",
      most,
      program: "smtpd",
      options: {
        syslog_name: "postfix/submissions",
        smtpd_tls_wrappermode: "yes",
        smtpd_upstream_proxy_protocol: "haproxy",
        ...submission,
      },
    },
    {
      name: "submission",
      type: "inet",
      most,
      program: "smtpd",
      options: { syslog_name: "postfix/submission", ...fromBalancer, ...submission },
    },
    {
      name: `127.0.0.1:${loopback.received}`,
      type: "inet",
      most: remoteProcesses,
      program: "smtpd",
      options: {
        syslog_name: "postfix/mxdeliv",
        smtpd_tls_security_level: "none",
        // the daemon names the client whom nginx has seen
        smtpd_authorized_xclient_hosts: "127.0.0.1",
        smtpd_relay_restrictions: "reject_unauth_destination",
        smtpd_milters: `unix:${sockets.incomingMilter}`,
      },
    },
    { name: "cleanup", type: "unix", most: 0, private: false, program: "cleanup" },
    {
      name: "authclean",
      type: "unix",
      most: 0,
      private: false,
      program: "cleanup",
      options: { syslog_name: "postfix/authclean", header_checks: map("submission_headers") },
    },
    { name: "qmgr", type: "unix", wakeup: "300", most: 1, private: false, program: "qmgr" },
    { name: "tlsmgr", type: "unix", wakeup: "1000?", most: 1, program: "tlsmgr" },
    { name: "rewrite", type: "unix", program: "trivial-rewrite" },
    { name: "bounce", type: "unix", most: 0, program: "bounce" },
    { name: "defer", type: "unix", most: 0, program: "bounce" },
    { name: "trace", type: "unix", most: 0, program: "bounce" },
    { name: "verify", type: "unix", most: 1, program: "verify" },
    { name: "flush", type: "unix", wakeup: "1000?", most: 0, private: false, program: "flush" },
    { name: "proxymap", type: "unix", program: "proxymap" },
    { name: "proxywrite", type: "unix", most: 1, program: "proxymap" },
    { name: "smtp", type: "unix", most: smtpProcesses.smtp, program: "smtp" },
    {
      name: unreachedService,
      type: "unix",
      most: smtpProcesses[unreachedService],
      program: "smtp",
      options: { syslog_name: "postfix/unreached" },
    },
    {
      name: httpsService,
      type: "unix",
      most: remoteProcesses,
      program: "smtp",
      options: { syslog_name: "postfix/https" },
    },
    { name: "relay", type: "unix", program: "smtp" },
    { name: "lmtp", type: "unix", program: "lmtp" },
    { name: "error", type: "unix", program: "error" },
    { name: "retry", type: "unix", program: "error" },
    { name: "discard", type: "unix", program: "discard" },
    { name: "showq", type: "unix", private: false, program: "showq" },
    { name: "anvil", type: "unix", most: 1, program: "anvil" },
    { name: "scache", type: "unix", most: 1, program: "scache" },
    { name: "postlog", type: "unix-dgram", most: 1, private: false, program: "postlogd" },
  ];
}

/** Lines of main.cf. */
export function settings(values: Settings): string {
  return Object.entries(values)
    .map(([name, value]) => `${name} = ${oneLine(String(value))}`.trimEnd())
    .concat("")
    .join("\n");
}

/**
 * Lines of master.cf: eight columns, no chroot (Debian's default), and a service's own settings
 * below it.
 */
function services(all: readonly Service[]): string {
  const lines = all.flatMap((service) => {
    const isPrivate = service.type === "inet" || service.private === false ? "n" : "-";
    const columns = [
      service.name,
      service.type,
      isPrivate,
      service.privileged ? "n" : "-",
      "n",
      service.wakeup ?? "-",
      service.most ?? "-",
      service.program,
    ];
    const options = Object.entries(service.options ?? {}).map(([name, value]) => `  -o ${name}=${oneWord(value)}`);
    return [columns.join(" "), ...options];
  });
  return `${lines.join("\n")}\n`;
}

/** A line break would begin another setting. The schema lets none through; this makes sure. */
function oneLine(value: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
  if (/[\u0000-\u001f\u007f]/.test(value)) throw new RangeError("a setting must be one line");
  return value;
}

/** In master.cf a blank ends the value too. */
function oneWord(value: string | number): string {
  const text = oneLine(String(value));
  if (text.includes(" ")) throw new RangeError("a service's setting must have no blank");
  return text;
}

/** Which login may use which sender: itself only. */
const loginMap = "/^(.*)$/ $1\n";

/**
 * Taken from what our users submit: where and with what a message was written. The subject is the
 * milter's, since it reads it first.
 */
const submissionHeaders = ignore("Received", "X-Originating-IP", "X-Mailer", "User-Agent");

/**
 * The end of a mail to a domain whose servers do not exist, or exist where the relay may not
 * connect to: one sentence for both.
 */
export const unreachableDomain = "5.4.4 Host or domain name not found, or not reachable from here";

/**
 * Postfix's own words name the server that was looked up and what the DNS said of it, so they would
 * tell strangers which inner names exist. A lookup of which the filter left nothing would be
 * deferred for two days (4.7.0): the filter will say the same until then.
 */
const nameServiceError = "^[45]\\.[0-9]\\.[0-9]+ Host or domain name not found\\. Name service error ";
const filteredLookup = "^[45]\\.[0-9]\\.[0-9]+ Error looking up name=.*DNS reply filter drops all results";
const deliveryStatus = `/${nameServiceError}.*try again/ 4.4.3 Host or domain name not looked up, as the DNS does not answer
/${nameServiceError}/ ${unreachableDomain}
/${filteredLookup}/ ${unreachableDomain}
`;

/** Headers that are taken at delivery to a mailbox: clients have no use for them. */
export const removedAtDelivery = ["DKIM-Signature", "Authentication-Results", "Received"] as const;
const deliveryHeaders = ignore(...removedAtDelivery);

function ignore(...names: readonly string[]): string {
  return names.map((name) => `/^${name}:/ IGNORE\n`).join("");
}
