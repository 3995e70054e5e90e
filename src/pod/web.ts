/**
 * nginx: port 443 for all by ALPN; behind it the relay's pages, the way to a new address and what
 * clients and servers ask for, over HTTPS; port 80 only points there.
 */
import { isAddressLiteral, isSelfSignedDomain } from "../api/domain.ts";
import { urlHost } from "../lib/url-host.ts";
import { joinPath } from "../mail/invite.ts";
import { ports } from "../mail/ports.ts";
import { autoconfig, mtaStsPolicy } from "./autoconfig.ts";
import {
  domainFile,
  domainFolder,
  folders,
  loopback,
  mostMxdelivHeaderBytes,
  mostMxdelivHeaders,
  servedTls,
  sockets,
} from "./layout.ts";
import { missingPageFiles } from "./pages/answers.ts";
import { assets } from "./pages/html.ts";
import { languageMaps } from "./pages/language.ts";
import { pageFiles } from "./pages/site.ts";
import { icon, style } from "./pages/style.ts";
import { languagesWith, Wordings } from "./pages/texts.ts";
import { type DomainPlan, mainDomain, otherDomains, type Plan } from "./plan.ts";
import { submissionsPerClient } from "./postfix.ts";

/**
 * What a browser may load on the pages: only what comes from the relay itself. The built-in ones
 * need a style sheet and an icon.
 */
const contentPolicy = (ownPages: boolean) =>
  ownPages
    ? "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; script-src 'self'; connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    : "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/** nginx counts connections of one client up to here. */
const mostCounted = 65_535;

/**
 * Connections of one port that wait to be accepted, where the system allows as many (4,096 is what
 * Linux does): a crowd that comes back finds a place, and need not try again.
 */
const mostWaiting = 4096;

/** A request for an address has no body worth the name. */
const bodyLimit = "4k";

/**
 * More at once are refused before the daemon sees them; it has turns for fewer, and refuses more
 * kindly.
 */
const mxdelivRequestsPerClient = 50;

/** Beside the message itself: doubled dots. Postfix's own limit is the one that counts. */
const slackBytes = 2 ** 20;

export function webFiles(plan: Plan): Record<string, string> {
  const files = sitesOf(plan).flatMap(({ of, folder }) =>
    Object.entries(siteFiles(of)).map(([path, text]) => [folder + path, text] as const),
  );
  return { "nginx.conf": nginxConf(plan), "style.css": style, "icon.svg": icon, ...Object.fromEntries(files) };
}

interface Site {
  of: DomainPlan;
  isMain: boolean;
  /** The only one: whatever name leads to it. */
  isAlone: boolean;
  /** Where its files are below the folder of `web`, with the slash. */
  folder: string;
  /** Of the built-in pages. */
  languages: readonly string[];
  /** Which nginx variable holds that of a request. */
  language: string;
}

const sitesOf = (plan: Plan): Site[] => {
  const isAlone = plan.domains.length === 1;
  const sets = languageSets(plan);
  const site = (of: DomainPlan, place: Pick<Site, "isMain" | "folder">): Site => {
    const languages = languagesOf(of);
    return { of, isAlone, ...place, languages, language: sets.get(languages.join(" ")) ?? "" };
  };
  return [
    site(mainDomain(plan), { isMain: true, folder: "" }),
    ...otherDomains(plan).map((of) => site(of, { isMain: false, folder: `domains/${domainFile(of.domain)}/` })),
  ];
};

const languagesOf = ({ website }: DomainPlan) => languagesWith(website.texts);

/** The variable for each set of languages: most domains have the same. */
function languageSets({ domains }: Plan): Map<string, string> {
  const sets = new Set([languagesWith(), ...domains.map(languagesOf)].map((each) => each.join(" ")));
  return new Map([...sets].map((set, index) => [set, index === 0 ? "language" : `language_${index}`]));
}

/** The built-in pages, and what is there whatever pages are served. */
function siteFiles(of: DomainPlan): Record<string, string> {
  const { domain, website } = of;
  const wordings = new Wordings(website.texts);
  const pages = Object.entries(pageFiles(of, wordings)).map(([name, text]) => [`pages/${name}`, text] as const);
  return {
    "autoconfig.xml": autoconfig(domain),
    ...(hasPolicy(domain) && { "mta-sts.txt": mtaStsPolicy(domain) }),
    ...missingPageFiles({ domain, wordings, menu: !website.own }),
    ...Object.fromEntries(pages),
  };
}

/** Who sends mail to a self-signed domain does not verify it. */
const hasPolicy = (domain: string) => !isSelfSignedDomain(domain);

const known = (path: string, file: string) => `    location = ${path} {
      alias ${folders.webConfig}/${file};
    }
`;

/** What comes through port 443 and is neither mail protocol. */
const listenHttps = `listen 127.0.0.1:${loopback.https} ssl proxy_protocol`;

/** Whoever types www has the rest of the name right. */
const www = (of: DomainPlan, name: string) => `  server {
    ${listenHttps};
    http2 on;
    server_name ${name};
${strictTransport(of)}${acmeAnswer(of)}    location / {
      return 301 https://${urlHost(of.domain)}$request_uri;
    }
  }
`;

/** What the public ports and the sections say where a load balancer or an edge names the client. */
interface Balancer {
  /** Whether connections to the port begin with a header. */
  isNamed: (port: number) => boolean;
  trusted: string;
}

/**
 * A connection without a header is an error to nginx, told with what was said instead, which may
 * hold an invite; and probes are such.
 */
const silence = "    error_log stderr crit;\n";

const balancerOf = ({ proxyProtocol, edge }: Plan): Balancer => ({
  isNamed: (port) => proxyProtocol !== undefined || (edge !== undefined && port === ports.https),
  trusted: [...new Set([proxyProtocol, edge].flatMap((one) => one?.trustedNetworks ?? []))]
    .map((range) => `  set_real_ip_from ${range};\n`)
    .join(""),
});

/** A client and the address that it has reached may be of two families. */
const isNamedSomewhere = ({ proxyProtocol, edge }: Plan) => proxyProtocol !== undefined || edge !== undefined;

/** As the daemon counts them: an IPv4 address, or the /64 of an IPv6 one. */
const clientMap = `  map $binary_remote_addr $client {
    "~(?s)^\\x00{10}\\xff\\xff(?<mapped>.{4})$" $mapped;
    "~(?s)^(?<network>.{8}).{8}$" $network;
    default $binary_remote_addr;
  }
`;

/**
 * Port 443 belongs to three: whoever is kept from the mail ports asks here, by ALPN, for imap or
 * smtp. A protocol counts as a whole word, and smtp before imap. TLS of IMAP ends here (decision
 * 0060), that of the others at the program that is meant. A session may be silent for as long as
 * IDLE is (29 minutes, RFC 2177). The other ports pass through here because each connection has to
 * be counted before it has said anything: Dovecot and Postfix's TLS count clients after that. 25
 * and 587, where Postfix speaks first, are its own.
 */
const publicPorts = (balancer: Balancer, plan: Plan) => {
  const port = (from: number, settings: readonly string[], isTls = false) => {
    const options = `${isTls ? " ssl" : ""}${balancer.isNamed(from) ? " proxy_protocol" : ""} backlog=${mostWaiting}`;
    return `  server {
    listen ${from}${options};
    listen [::]:${from}${options};
${balancer.isNamed(from) ? silence : ""}${settings.map((each) => `    ${each};\n`).join("")}  }
`;
  };
  const clients = `limit_conn clients ${Math.min(mostCounted, plan.connections.perClient)}`;
  const submissions = `limit_conn submissions ${submissionsPerClient(plan)}`;
  // without a load balancer a client and the address that it has reached are of one family
  const imap = isNamedSomewhere(plan) ? "$to_imap" : `127.0.0.1:${loopback.imap}`;
  const imaps = isNamedSomewhere(plan)
    ? port(ports.imaps, [clients, "proxy_pass $to_imaps"])
    : port(ports.imaps, [clients, `proxy_pass 127.0.0.1:${loopback.imaps}`], true);
  return `stream {
  # who is counted is whom the load balancer names, and behind the first of two servers whom that one names
  set_real_ip_from 127.0.0.1;
${balancer.trusted}${clientMap}  map $ssl_preread_alpn_protocols $meant {
    ~(^|,)smtp(,|$) $to_submissions;
    ~(^|,)imap(,|$) $to_imaps;
    default 127.0.0.1:${loopback.https};
  }
  # more states than there can be connections
  limit_conn_zone $client zone=clients:3m;
  limit_conn_zone $client zone=submissions:1m;
  limit_conn_log_level notice;
  proxy_protocol on;
  proxy_connect_timeout 5s;
  proxy_timeout 1h;
  proxy_socket_keepalive on;
  proxy_buffer_size 4k;
${certificates(plan)}  ssl_certificate $served_tls;
  ssl_certificate_key $served_tls;
  ssl_protocols TLSv1.3;
  # who comes back within a day resumes, as Delta Chat does, and the certificate is neither read nor signed with; keys of tickets change each day
  ssl_session_cache shared:tls:64k;
  ssl_session_timeout 1d;
  # who is answered before its request has ended may still be sending: closed at once, the connection would be reset and the answer lost
  proxy_half_close on;
${port(ports.https, [clients, "ssl_preread on", "preread_timeout 10s", "proxy_pass $meant", "proxy_buffer_size 8k"])}${port(ports.http, [clients, `proxy_pass 127.0.0.1:${loopback.http}`, "proxy_timeout 60s"])}${imaps}${port(ports.imap, [clients, `proxy_pass ${imap}`])}${port(ports.submissions, [clients, "proxy_pass $to_submissions"])}${gate("submissions", [submissions])}${gate("imaps", [], true)}${isNamedSomewhere(plan) ? gate("imap", []) : ""}}
`;
};

/**
 * The header that nginx writes names the client and the address that was connected to, and Dovecot
 * and Postfix take none with one of IPv4 and one of IPv6. So each family has a listener of its own
 * on the loopback; that of IPv6 is reached by IPv4 too, since pods may be without IPv6.
 */
function gate(to: keyof typeof loopback.gates, settings: readonly string[], isTls = false): string {
  const [four, six] = loopback.gates[to];
  const options = isTls ? "ssl proxy_protocol" : "proxy_protocol";
  return `  map $remote_addr $to_${to} {
    ~: 127.0.0.1:${six};
    default 127.0.0.1:${four};
  }
  server {
    listen 127.0.0.1:${four} ${options};
    listen [::ffff:127.0.0.1]:${six} ${options} ipv6only=off;
${settings.map((each) => `    ${each};\n`).join("")}    proxy_pass 127.0.0.1:${loopback[to]};
  }
`;
}

/**
 * HSTS (RFC 6797), only where a browser accepts the certificate: else the pages could not be opened
 * at all.
 */
const strictTransport = ({ domain, certificate }: DomainPlan) =>
  isSelfSignedDomain(domain) || certificate.selfSigned
    ? ""
    : '    add_header Strict-Transport-Security "max-age=31536000" always;\n';

/**
 * A mail session takes two of these, or four behind a load balancer and through port 443, a page
 * three or four; each is 0.4 kB idle. There is room for as many IMAP sessions as may be awake, and
 * beside them for a client that is at its limit, by whichever port.
 */
const workerConnections = (plan: Plan, { connections } = plan) =>
  (isNamedSomewhere(plan) ? 4 : 2) * connections.imap + Math.max(8192, 4 * connections.perClient);

/** Beside the connections: listeners, files that are served, the program's own. */
const otherFiles = 512;

/** A domain with this before it, unless that is a domain itself. */
const below = (before: string, { domain }: DomainPlan, { domains }: Plan): string[] => {
  const name = `${before}.${domain}`;
  return isAddressLiteral(domain) || domains.some((each) => each.domain === name) ? [] : [name];
};

/** Those that lead to the pages of a domain, without www. */
const namesOf = (of: DomainPlan, plan: Plan) => [urlHost(of.domain), ...below("mta-sts", of, plan)];

/** Which certificate a client gets: by the name that it gives in TLS. */
const certificates = (plan: Plan, others = otherDomains(plan)) => {
  const named = others.filter(({ domain }) => !isAddressLiteral(domain));
  const lines = named.flatMap((of) =>
    [...namesOf(of, plan), ...below("www", of, plan)].map((name) => `    ${name} ${servedTls(of.domain)};\n`),
  );
  return `  map ${lines.length > 0 ? "$ssl_server_name" : '""'} $served_tls {
    default ${servedTls(mainDomain(plan).domain)};
${lines.join("")}  }
`;
};

const zoneOfNew = ({ of, isMain }: Pick<Site, "of" | "isMain">) => (isMain ? "new" : `new-${domainFile(of.domain)}`);

const nginxConf = (
  plan: Plan,
  sites = sitesOf(plan),
  balancer = balancerOf(plan),
) => `load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
pid /tmp/nginx.pid;
error_log stderr error;
worker_processes 1;
# where the system allows as many
worker_rlimit_nofile ${workerConnections(plan) + otherFiles};
events {
  worker_connections ${workerConnections(plan)};
}
${publicPorts(balancer, plan)}http {
  access_log off;
${sites.length > 1 ? "  # a whole domain name in one bucket; before the first map\n  map_hash_bucket_size 512;\n" : ""}  server_tokens off;
  # the client is whom the shared port names
  set_real_ip_from 127.0.0.1;
${balancer.trusted}  real_ip_header proxy_protocol;
  port_in_redirect off;
  sendfile on;
  keepalive_timeout 30s;
  client_header_timeout 20s;
  client_max_body_size ${bodyLimit};
  client_body_temp_path /tmp/body;
  proxy_temp_path /tmp/proxy;
  fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi;
  scgi_temp_path /tmp/scgi;
  gzip on;
  gzip_vary on;
  gzip_types text/css text/plain image/svg+xml application/javascript;
  include /etc/nginx/mime.types;
  default_type application/octet-stream;
  charset utf-8;

  # who makes up addresses by the thousand is slowed down; people behind one address are not
${sites.map((site) => `  limit_req_zone $client zone=${zoneOfNew(site)}:1m rate=${site.of.accounts.createRatePerMinute}r/m;\n`).join("")}  limit_req_status 503;
  limit_req_log_level notice;
  limit_conn_zone $client zone=mxdeliv:1m;
${clientMap}  # a whole domain name in one bucket
  server_names_hash_bucket_size 512;

${[...languageSets(plan)].map(([set, name]) => languageMaps(name, set.split(" "))).join("")}
  # which page it is depends on the browser, and the next version has the same address; the daemon says so of its own
  map $sent_http_content_type $page_vary {
    default "";
    ~^text/html Accept-Language;
  }
  map $upstream_status$sent_http_content_type $page_cache {
    default "";
    "~^text/(html|css)|^image/svg" no-cache;
  }

  # a variable: read at each handshake, so a new certificate needs no reload, which would end idle connections
${certificates(plan)}  ssl_certificate $served_tls;
  ssl_certificate_key $served_tls;
  ssl_protocols TLSv1.2 TLSv1.3;
  ssl_session_tickets off;

${sites.length > 1 ? namelessSite(plan) : ""}${sites.map((site) => siteConf(site, plan)).join("")}}
`;

/** Of every server: whoever sends mail here may do so by a name that is none of the domains. */
const mxdeliv = (
  plan: Plan,
) => `    # mail from other relays. Each recipient is a header of its own. The daemon sees them before the body, which stays with the sender until there
    # is a turn for it: nothing of it is kept here.
    location /mxdeliv {
      client_max_body_size ${Math.max(...plan.domains.map(({ messages }) => messages.maxBytes)) + slackBytes};
      client_body_buffer_size 64k;
      client_body_timeout 20s;
      limit_conn mxdeliv ${mxdelivRequestsPerClient};
      limit_conn_log_level notice;
      error_page 413 @too_large;
      error_page 503 @busy;
      proxy_pass http://unix:${sockets.mxdeliv};
      proxy_http_version 1.1;
      proxy_request_buffering off;
      proxy_set_header Host $host;
      proxy_set_header X-Real-IP $remote_addr;
      proxy_set_header Connection "";
      proxy_connect_timeout 5s;
      proxy_read_timeout 300s;
    }
    location @busy {
      default_type text/plain;
      add_header Retry-After 30 always;
      return 503 "451 4.3.2 busy, try again later\\n";
    }
    location @too_large {
      default_type text/plain;
      return 413 "552 Message exceeds maximum size\\n";
    }
`;

const headerLimits = `    large_client_header_buffers ${mostMxdelivHeaderBytes / 8192} 8k;
    max_headers ${mostMxdelivHeaders};
`;

/**
 * What an authority finds that verifies the domain (RFC 8555 §8.3): for any token the same account.
 * So nothing has to reach the relay while a certificate is ordered, and nobody else can have one
 * ordered through it (decision 0041). At port 443, too: an edge may send all of port 80 there, and
 * an authority follows, whatever certificate it finds.
 */
const acmeAnswer = ({ certificate: { acmeThumbprint } }: DomainPlan) =>
  acmeThumbprint === undefined
    ? ""
    : `    location ~ ^/[.]well-known/acme-challenge/(?<token>[A-Za-z0-9_-]+)$ {
      default_type text/plain;
      return 200 "$token.${acmeThumbprint}";
    }
`;

/** Where there are several domains, one that is asked for by a name of none of them shows none. */
const namelessSite = (plan: Plan) => `  server {
    listen 127.0.0.1:${loopback.http} proxy_protocol default_server;
    return 404;
  }
  server {
    ${listenHttps} default_server;
    http2 on;
${headerLimits}    location / {
      return 421;
    }
${mxdeliv(plan)}  }
`;

const siteConf = (
  { of, isAlone, isMain, folder, languages, language }: Site,
  plan: Plan,
  { accounts, domain, website } = of,
  files = `${folders.webConfig}/${folder}`,
  names = namesOf(of, plan),
  // two languages of a page that are of one length and age would be the same to a browser
  noValidator = website.own ? "" : "      etag off;\n      if_modified_since off;\n",
) => `  server {
    listen 127.0.0.1:${loopback.http} proxy_protocol${isAlone ? " default_server" : ""};
${isAlone ? "" : `    server_name ${[...names, ...below("www", of, plan)].join(" ")};\n`}${acmeAnswer(of)}    location / {
      return 301 https://${urlHost(domain)}$request_uri;
    }
  }
  server {
    ${listenHttps}${isAlone ? " default_server" : ""};
${isAlone ? "" : `    server_name ${names.join(" ")};\n`}    http2 on;
${headerLimits}    root ${website.own ? domainFolder(folders.pages, domain) : `${files}pages`};
    index index.$${language}.html index.html;
    error_page 404 @missing;
    add_header Content-Security-Policy "${contentPolicy(website.own)}" always;
    add_header X-Content-Type-Options nosniff always;
    add_header Referrer-Policy no-referrer always;
    add_header Vary $page_vary always;
    add_header Cache-Control $page_cache always;
${strictTransport(of)}    add_header X-Robots-Tag "noindex, nofollow" always;
${acmeAnswer(of)}    location / {
${noValidator}      try_files $uri $uri.$${language}.html $uri.html $uri/ =404;
    }
    # as the pages of other chatmail relays are called; by a name, since the language is found with patterns of its own
    location ~ ^/(?<page>[A-Za-z0-9_-]+)[.]html$ {
${noValidator}      try_files $uri /$page.$${language}.html =404;
    }
    location ~ ^/(${languages.join("|")})/?$ {
      try_files /index.$1.html =404;
    }
    location ~ ^/(${languages.join("|")})/([a-z0-9-]+)$ {
      try_files /$2.$1.html =404;
    }
    location @missing {
      try_files /404.$${language}.html /404.html @missing-built-in;
    }
    location @missing-built-in {
      root ${files.slice(0, -1)};
      try_files /404.$${language}.html =404;
    }
${known(assets.style, "style.css")}${known(assets.icon, "icon.svg")}${known("/.well-known/autoconfig/mail/config-v1.1.xml", `${folder}autoconfig.xml`)}${hasPolicy(domain) ? known("/.well-known/mta-sts.txt", `${folder}mta-sts.txt`) : ""}    location ~ ^(/new|/cgi-bin/newemail[.]py|${joinPath}|/i/[A-Za-z0-9_-]+)$ {
      # a failure is told with the whole request, and that may hold an invite: the daemon says itself what is wrong
      error_log stderr emerg;
      limit_req zone=${zoneOfNew({ of, isMain })} burst=${accounts.createBurst} nodelay;
      error_page 503 @too_many;
      error_page 502 504 =503 @unavailable;
      proxy_pass http://unix:${sockets.web};
      proxy_http_version 1.1;
      # by whatever name the client has come
      proxy_set_header Host ${urlHost(domain)};
      proxy_set_header Accept-Language $${language};
      proxy_set_header Client-Address $remote_addr;
      proxy_set_header Connection "";
      proxy_connect_timeout 5s;
      proxy_read_timeout 30s;
    }
    location @too_many {
      default_type application/json;
      add_header Retry-After 1 always;
      return 503 '{"reason":"Too many new addresses from your network, please try again in a second"}';
    }
    location @unavailable {
      default_type application/json;
      add_header Retry-After 5 always;
      return 503 '{"reason":"This server is just starting, please try again in some seconds"}';
    }
${mxdeliv(plan)}  }
${below("www", of, plan)
  .map((name) => www(of, name))
  .join("")}`;
