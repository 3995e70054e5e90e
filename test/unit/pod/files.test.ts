/**
 * The texts that the operator writes: they follow the spec, and nothing in a spec can add a line to
 * them.
 */
import { readFileSync } from "node:fs";
import { BlockList, isIPv4 } from "node:net";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ChatmailServerSpec } from "../../../src/api/chatmail-server.ts";
import { inviteLink, invitePage, inviteTokenIn, publicInvite } from "../../../src/mail/invite.ts";
import { expiryContainer, prepareContainer, relayContainers } from "../../../src/pod/containers.ts";
import { adminContact } from "../../../src/pod/dovecot.ts";
import { type Files, type Part, partFiles, partFolders } from "../../../src/pod/files.ts";
import { folders, sockets } from "../../../src/pod/layout.ts";
import { escapeHtml } from "../../../src/pod/pages/escape.ts";
import { qrSvg } from "../../../src/pod/pages/html.ts";
import { languages, tagOf } from "../../../src/pod/pages/language.ts";
import { readableSize } from "../../../src/pod/pages/site.ts";
import { Wordings } from "../../../src/pod/pages/texts.ts";
import { Plan } from "../../../src/pod/plan.ts";
import { planOf } from "../../../src/pod/plan-of.ts";
import { mainSettings, settings } from "../../../src/pod/postfix.ts";
import { relayConfig } from "../../../src/pod/relay-config.ts";
import { deniedPeers } from "../../../src/pod/turn.ts";
import { mostRecipients } from "../../../src/relay/receive/policy.ts";

type Fields = Record<string, unknown>;
const aSpec = (domain = "nine.example.org", fields: Fields = {}) => ChatmailServerSpec.parse({ domain, ...fields });
const planFor = (...args: Parameters<typeof aSpec>) => Plan.parse(planOf(aSpec(...args)));
type Folder = Part | "pages" | "relay";
/** What each program reads, the built-in pages apart, and what the daemon goes by. */
function filesOf(...args: Parameters<typeof aSpec>): Record<Folder, Files> {
  const plan = planFor(...args);
  const parts = Object.keys(partFolders).map((part) => [part, partFiles(part as Part, plan)] as const);
  const { web = {}, ...others } = Object.fromEntries(parts);
  const split = Object.groupBy(Object.entries(web), ([path]) => (path.startsWith("pages/") ? "pages" : "web"));
  return {
    ...(others as Record<Part, Files>),
    web: Object.fromEntries(split.web ?? []),
    pages: Object.fromEntries((split.pages ?? []).map(([path, text]) => [path.slice("pages/".length), text])),
    relay: { "relay.json": JSON.stringify(relayConfig(plan)) },
  };
}
const file = (folder: Folder, name: string, ...args: Parameters<typeof aSpec>): string =>
  filesOf(...args)[folder][name] ?? "";

describe("Postfix", () => {
  test.each([
    { domain: "nine.example.org", myhostname: "nine.example.org", mydestination: "nine.example.org" },
    { domain: "_nine.test", myhostname: "_nine.test", mydestination: "_nine.test" },
    { domain: "192.0.2.7", myhostname: "7.2.0.192.in-addr.arpa", mydestination: "[192.0.2.7]" },
  ])("$domain is $myhostname and takes mail for $mydestination", ({ domain, myhostname, mydestination }) => {
    expect(mainSettings(planFor(domain))).toMatchObject({ myhostname, mydestination, myorigin: mydestination });
  });

  test("every line is one setting, with a name as Postfix has them", () => {
    for (const line of file("postfix", "main.cf").trimEnd().split("\n")) expect(line).toMatch(/^[a-z][A-Za-z0-9_]* =/);
  });

  test("every map that is named is there", () => {
    const { postfix } = filesOf();
    const named = Object.values(postfix).flatMap((text) => [...text.matchAll(/regexp:\S*\/([^\s/,]+)/g)]);
    expect(named.length).toBeGreaterThan(2);
    for (const [, name = ""] of named) expect(Object.keys(postfix)).toContain(name);
  });

  test("sizes and limits come from the spec", () => {
    const fields = { messages: { maxSize: "5Mi" }, network: { connections: { submission: 200 } } };
    expect(file("postfix", "main.cf", "a.test", fields)).toContain("message_size_limit = 5242880\n");
    const master = file("postfix", "master.cf", "a.test", fields);
    expect(master).toMatch(/^submission inet n - n - 200 smtpd$/m);
    expect(master).toContain("smtpd_client_connection_count_limit=66\n");
    // port 25 has its own
    expect(master).toMatch(/^smtp inet n - n - 250 smtpd$/m);
    expect(master).toContain("smtpd_client_connection_count_limit=30\n");
  });

  test("only 25 and what came by HTTPS take mail without a login, and relay nothing", () => {
    const services = file("postfix", "master.cf").split(/^(?=\S)/m);
    const inet = services.filter((text) => / inet /.test(text));
    expect(inet).toHaveLength(4);
    const open = inet.filter((text) => !text.includes("permit_sasl_authenticated,reject"));
    expect(open.map((text) => text.split(" ")[0])).toEqual(["smtp", "127.0.0.1:10026"]);
    for (const text of open) expect(text).toContain("smtpd_relay_restrictions=reject_unauth_destination\n");
    // the same judge for both
    expect(new Set(open.map((text) => /smtpd_milters=\S+/.exec(text)?.[0])).size).toBe(1);
    expect(file("postfix", "main.cf")).toContain("smtpd_relay_restrictions = reject\n");
    for (const text of inet) expect(text).toContain("smtpd_milters=unix:");
  });

  test("who comes to 465 is asked as at 587, and only nginx may say who it is", () => {
    const services = file("postfix", "master.cf").split(/^(?=\S)/m);
    const options = (name: string) =>
      services
        .find((text) => text.startsWith(`${name} inet`))
        ?.split("\n")
        .slice(1) ?? [];
    const through465 = options("127.0.0.1:1466");
    expect(through465).toContain("  -o smtpd_upstream_proxy_protocol=haproxy");
    const own = /proxy_protocol|wrappermode|syslog_name/;
    expect(through465.filter((option) => !own.test(option))).toEqual(
      options("submission").filter((option) => !own.test(option)),
    );
    expect(file("postfix", "master.cf").match(/proxy_protocol/g)).toHaveLength(1);
  });

  test("headers are taken out of what our users hand in, and of nothing else before delivery", () => {
    const services = file("postfix", "master.cf").split(/^(?=\S)/m);
    const cleaned = services.filter((text) => text.includes("cleanup_service_name=authclean"));
    expect(cleaned.map((text) => text.split(" ")[0])).toEqual(["127.0.0.1:1466", "submission"]);
    expect(services.filter((text) => text.includes("header_checks")).map((text) => text.split(" ")[0])).toEqual([
      "authclean",
    ]);
    expect(file("postfix", "main.cf").match(/^\w*header_checks/gm)).toEqual(["lmtp_header_checks"]);
  });

  test("users need TLS 1.3, other servers TLS 1.2, both ways", () => {
    const main = file("postfix", "main.cf");
    for (const side of ["smtpd", "smtp"]) expect(main).toContain(`\n${side}_tls_mandatory_protocols = >=TLSv1.2\n`);
    const stricter = file("postfix", "master.cf")
      .split(/^(?=\S)/m)
      .filter((text) => text.includes("smtpd_tls_mandatory_protocols=>=TLSv1.3"));
    expect(stricter.map((text) => text.split(" ")[0])).toEqual(["127.0.0.1:1466", "submission"]);
  });

  test.each([
    {
      what: "mail waits for two days, and so do bounces",
      has: ["maximal_queue_lifetime = 2d", "bounce_queue_lifetime = 2d"],
    },
    {
      what: "one that waits is tried again after ten seconds",
      has: ["minimal_backoff_time = 10s", "queue_run_delay = 10s"],
    },
    { what: "clients are not looked up by their addresses", has: ["smtpd_peername_lookup = no"] },
    { what: "Dovecot alone knows who exists", has: ["local_recipient_maps =", "alias_maps ="] },
    { what: "ciphers without a name or a future are off", has: ["smtpd_tls_exclude_ciphers = aNULL, RC4, MD5, DES"] },
    { what: "another server is asked by its MX name", has: ["smtp_tls_servername = hostname"] },
    {
      what: "unencrypted is nobody's default",
      has: ["smtp_tls_security_level = verify", "smtpd_tls_security_level = encrypt"],
    },
  ])("$what", ({ has }) => {
    expect(file("postfix", "main.cf").split("\n")).toEqual(expect.arrayContaining(has));
  });

  test("a value with a line break is never written", () => {
    expect(() => settings({ myhostname: "a\nb = c" })).toThrow(RangeError);
  });
});

test("headers of a load balancer are expected at every public port, or at none", () => {
  const trustedNetworks = ["192.0.2.0/28", "2001:db8::/64"];
  const count = (text: string, what: RegExp) => text.match(what)?.length ?? 0;
  for (const network of [{}, { proxyProtocol: { trustedNetworks } }]) {
    const balanced = "proxyProtocol" in network;
    const text = (folder: Folder, name: string) => file(folder, name, "a.test", { network });
    // beside the one that nginx speaks to
    expect(count(text("postfix", "master.cf"), /proxy_protocol=haproxy/g)).toBe(balanced ? 3 : 1);
    const nginx = text("web", "nginx.conf");
    expect(count(nginx, /listen (\[::\]:)?(80|143|443|465|993) proxy_protocol backlog=\d+;/g)).toBe(balanced ? 10 : 0);
    expect(count(nginx, /listen (\[::\]:)?(80|143|443|465|993)( ssl)? backlog=\d+;/g)).toBe(balanced ? 0 : 10);
    for (const range of balanced ? trustedNetworks : [])
      expect(count(nginx, new RegExp(`set_real_ip_from ${range};`, "g"))).toBe(2);
    // Dovecot hears it from nginx, whoever has said it first
    expect(count(text("dovecot", "dovecot.conf"), /haproxy = yes/g)).toBe(2);
    expect(text("dovecot", "dovecot.conf")).toContain("haproxy_trusted_networks = 127.0.0.1\n");
  }
});

test("an edge names clients at port 443, and at no other", () => {
  const network = { exposure: "HostPort", web: { mode: "Edge", trustedNetworks: ["10.42.0.0/16"] } } as const;
  const nginx = file("web", "nginx.conf", "a.test", { network });
  expect(nginx.match(/listen \S+ proxy_protocol/g)?.filter((line) => !line.includes("127.0.0.1"))).toEqual([
    "listen 443 proxy_protocol",
    "listen [::]:443 proxy_protocol",
  ]);
  expect(nginx.match(/set_real_ip_from 10[.]42[.]0[.]0[/]16;/g)).toHaveLength(2);
  expect(file("postfix", "master.cf", "a.test", { network })).toBe(file("postfix", "master.cf", "a.test"));
});

test.each([
  { domain: "nine.example.org", folder: "/etc/chatmail/dkim/nine.example.org" },
  { domain: "_nine.test", folder: "/etc/chatmail/dkim/_nine.test" },
  { domain: "192.0.2.7", folder: undefined },
])("$domain signs with the keys in $folder", ({ domain, folder }) => {
  const { dkim } = JSON.parse(file("relay", "relay.json", domain));
  expect(dkim[domain]).toBe(folder);
});

describe("Dovecot", () => {
  test("braces close, and limits come from the spec", () => {
    const text = file("dovecot", "dovecot.conf", "a.test", {
      accounts: { mailboxQuota: "100Mi" },
      network: { connections: { imap: 77 } },
    });
    const count = (what: RegExp) => text.match(what)?.length ?? 0;
    expect(count(/\{$/gm)).toBe(count(/^\s*\}$/gm));
    expect(text).toContain("storage_size = 104857600B\n");
    expect(text).toContain("process_limit = 77\n");
  });

  test.each([
    { mail: "admin@example.org", contact: "mailto:admin@example.org" },
    { mail: "a.b+c@example.org", contact: "mailto:a.b+c@example.org" },
    { mail: "a%{user}@example.org", contact: undefined },
    { mail: "a#b@example.org", contact: undefined },
    { mail: "a\n}@example.org", contact: undefined },
    { mail: undefined, contact: undefined },
  ])("$mail becomes $contact", ({ mail, contact }) => {
    expect(adminContact(mail)).toBe(contact);
  });
});

describe("pages", () => {
  const nasty = "<script>alert(\"1\")</script> & 'x'\n2nd line";

  test("text from the spec is text, not markup", () => {
    const page = file("pages", "privacy.en.html", "a.test", { privacy: { postal: nasty, dataOfficer: nasty } });
    expect(page).not.toContain("<script");
    expect(page).toContain("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; &#39;x&#39;<br>2nd line");
  });

  test("every page is there in every language, says which it is, and leads to the same page in the others", () => {
    const { pages } = filesOf();
    for (const name of ["index", "info", "privacy"]) {
      for (const language of languages) {
        const page = pages[`${name}.${language}.html`] ?? "";
        const path = `/${language}/${name === "index" ? "" : name}`;
        expect(page).toContain(`<html lang="${tagOf(language)}" dir="${language === "fa" ? "rtl" : "ltr"}">`);
        for (const other of languages) {
          const there = path.replace(language, other);
          expect(page).toContain(`<link rel="alternate" hreflang="${tagOf(other)}" href="${there}">`);
          expect(page.includes(`<a href="${there}" hreflang="${tagOf(other)}"`)).toBe(other !== language);
        }
        expect(page).toContain(`hreflang="x-default" href="${name === "index" ? "/" : `/${name}`}"`);
      }
    }
  });

  test("every link within the site leads to a page that is there", () => {
    const { pages, web } = filesOf();
    const links = Object.values(pages).flatMap((text) => [...text.matchAll(/(?:href|src)="(\/[^"]*)"/g)]);
    const paths = new Set(links.map(([, path]) => path));
    expect(paths.size).toBeGreaterThan(6);
    for (const path of paths) {
      const [, language = "", page = ""] = /^\/([a-z]{2})\/([a-z]*)$/.exec(path ?? "") ?? [];
      if (["/", "/info", "/privacy"].includes(path ?? "")) continue; // nginx chooses the language
      if (language) expect(Object.keys(pages)).toContain(`${page || "index"}.${language}.html`);
      else expect(web["nginx.conf"]).toContain(`location = ${path} {`);
    }
  });

  test("nothing is loaded from elsewhere, and nothing runs", () => {
    const { pages, web } = filesOf();
    const texts = [...Object.values(pages), web["style.css"] ?? "", web["404.en.html"] ?? ""];
    const loads = texts.flatMap((text) => text.match(/(?:src=|url\(|@import|<link[^>]*href)[^>\s]*/g) ?? []);
    expect(loads.length).toBeGreaterThan(6);
    for (const each of loads) expect(each).not.toMatch(/https?:|\/\//);
    for (const text of texts) expect(text).not.toMatch(/<script|<iframe|style=|\son\w+=/);
  });

  test.each([
    { domain: "a.test", registration: "Open", shows: 'href="dcaccount:a.test"' },
    { domain: "_a.test", registration: "Open", shows: 'href="dcaccount:_a.test"' },
    { domain: "192.0.2.7", registration: "Open", shows: 'href="/join"' },
    { domain: "a.test", registration: "Invite", shows: "By invitation" },
    { domain: "a.test", registration: "Closed", shows: "No new members" },
  ] as const)("$domain with registration $registration shows $shows", ({ domain, registration, shows }) => {
    const page = file("pages", "index.en.html", domain, { accounts: { registration } });
    expect(page).toContain(shows);
    expect(page.includes("dcaccount:")).toBe(shows.includes("dcaccount:"));
    expect(page.includes("<svg")).toBe(shows.includes("dcaccount:"));
  });

  test("no robot is asked in", () => {
    expect(filesOf().pages["robots.txt"]).toBe("User-agent: *\nDisallow: /\n");
  });

  test("the privacy page names who answers for the relay, as far as the spec does", () => {
    const privacy = {
      postal: "Nine Street",
      mail: "nine@a.test",
      dataOfficer: "Officer N.",
      supervisor: "Authority 9",
    };
    const page = (given: Partial<typeof privacy>) => file("pages", "privacy.en.html", "a.test", { privacy: given });
    for (const [name, text] of Object.entries(privacy)) {
      expect(page({ [name]: text })).toContain(text);
      expect(page({ ...privacy, [name]: undefined })).not.toContain(text);
    }
    expect(page(privacy)).toContain('<a href="mailto:nine@a.test">');
  });

  test("the info page has every limit of the spec", () => {
    const page = file("pages", "info.en.html", "a.test", {
      messages: { maxSize: "7Mi", deleteAfterDays: 13, deleteLargeAfterDays: 3 },
      accounts: { deleteInactiveAfterDays: 47, mailboxQuota: "77Mi", sendRatePerMinute: 31 },
    });
    for (const says of ["13 days", "3 days", "47 days", "7\u00a0MiB", "77\u00a0MiB", "31 "])
      expect(page.replaceAll("<bdi>", "")).toContain(`<dd>${says}`);
  });

  test("limits are said as people say them", () => {
    const fields = { messages: { deleteAfterDays: 1, deleteLargeAfterDays: 1 }, accounts: { mailboxQuota: "1536Mi" } };
    const says = (language: string) => file("pages", `info.${language}.html`, "a.test", fields);
    expect(says("en")).toContain("<dd>1 day</dd>");
    expect(says("en")).toContain("<dd><bdi>1.5\u00a0GiB</bdi></dd>");
    expect(says("de")).toContain("<dd>1 Tag</dd>");
    expect(says("de")).toContain("<dd><bdi>1,5\u00a0GiB</bdi></dd>");
    expect(says("ru")).toContain("<dd>1 день</dd>");
    expect(says("fa")).toContain("<dd>۱ روز</dd>");
  });

  test.each([
    { push: { enabled: true }, says: true },
    { push: { enabled: false }, says: false },
  ])("the privacy page names the push service where there is one: $says", ({ push, says }) => {
    const page = file("pages", "privacy.en.html", "a.test", { services: { push } });
    expect(page.includes("notifications.delta.chat")).toBe(says);
    expect(file("dovecot", "dovecot.conf", "a.test", { services: { push } }).includes("XDELTAPUSH")).toBe(says);
  });

  test.each([
    [0, "0\u00a0B"],
    [1024, "1\u00a0KiB"],
    [1536 * 1024 ** 2, "1.5\u00a0GiB"],
    [2 ** 50, "1024\u00a0TiB"],
  ])("%i is %s", (bytes, said) => expect(readableSize(bytes, new Wordings().of("en"))).toBe(said));

  test("a QR code is square, with a quiet zone", () => {
    const svg = qrSvg("dcaccount:a.test", "<label>");
    expect(svg).toMatch(/viewBox="0 0 (\d+) \1"/);
    expect(svg).toContain(escapeHtml("<label>"));
    expect(svg.split('fill="#000"')[1]).not.toMatch(/M[0-3] |M\d+ [0-3]h/);
  });
});

test("autoconfig has three ways in and three out, in the order in which to try them", () => {
  const { "autoconfig.xml": text = "" } = filesOf("nine.example.org").web;
  expect(text).toMatch(
    /^<\?xml .*\n<clientConfig version="1\.1">\s*<emailProvider id="nine\.example\.org">\s*<domain>nine\.example\.org</,
  );
  expect(text).toContain("<displayName>nine.example.org chatmail</displayName>");
  expect(text).toContain("<displayShortName>nine.example.org</displayShortName>");
  const servers = [...text.matchAll(/<(\w+Server) type="(\w+)">(.*?)<\/\1>/gs)].map(([, kind, type, fields = ""]) =>
    [kind, type, ...[...fields.matchAll(/<(\w+)>(.*?)<\/\1>/g)].map(([, name, value]) => `${name}=${value}`)].join(" "),
  );
  const server = (kind: string, port: number, socket: string) =>
    `${kind} hostname=nine.example.org port=${port} socketType=${socket} authentication=password-cleartext username=%EMAILADDRESS%`;
  expect(servers).toEqual([
    server("incomingServer imap", 993, "SSL"),
    server("incomingServer imap", 143, "STARTTLS"),
    server("incomingServer imap", 443, "SSL"),
    server("outgoingServer smtp", 465, "SSL"),
    server("outgoingServer smtp", 587, "STARTTLS"),
    server("outgoingServer smtp", 443, "SSL"),
  ]);
});

describe("nginx", () => {
  test("a client's connections are counted at each port where Postfix does not speak first", () => {
    const fields = { network: { connections: { imap: 100, submission: 90, perClient: 2000 } } };
    const conf = file("web", "nginx.conf", "a.test", fields);
    const [, stream = ""] = /^stream \{\n([\s\S]*?)^\}/m.exec(conf) ?? [];
    const servers = stream.split(/^ {2}server \{/m).slice(1);
    const portsOf = (text: string) => [...text.matchAll(/listen (?:\[::\]:)?([0-9.:]+)/g)].map(([, port = ""]) => port);
    const counted = (limit: string) => servers.filter((text) => text.includes(`limit_conn ${limit};`)).flatMap(portsOf);
    expect(counted("clients 2000").sort()).toEqual([
      "143",
      "143",
      "443",
      "443",
      "465",
      "465",
      "80",
      "80",
      "993",
      "993",
    ]);
    // 465, and 443 for those who mean submission, lead there
    expect(servers.filter((text) => text.includes("limit_conn submissions 30;"))).toHaveLength(1);
    expect(conf).toContain("worker_connections 8392;");
    expect(conf).toContain("worker_rlimit_nofile 8904;");
  });

  test("who asks for new addresses is slowed down as who makes them", () => {
    const conf = file("web", "nginx.conf", "a.test", { accounts: { createRatePerMinute: 7, createBurst: 3 } });
    expect(conf).toMatch(/^ +limit_req_zone .* rate=7r\/m;$/m);
    expect(conf).toMatch(/^ +limit_req zone=new burst=3 nodelay;$/m);
    expect(conf).toMatch(/^ +proxy_set_header Client-Address \$remote_addr;$/m);
  });

  test.each([
    ["/new", true],
    ["/cgi-bin/newemail.py", true],
    ["/join", true],
    ["/i/k3v9-k3v9", true],
    ["/new/more", false],
    ["/cgi-bin/newemailxpy", false],
    ["/i/", false],
    ["/i/a/b", false],
    ["/", false],
  ])("%s is the daemon's: %s", (path, daemons) => {
    const pattern = /location ~ (\S+) \{[^}]*proxy_pass http:\/\/unix:\S*web\.sock/.exec(
      file("web", "nginx.conf"),
    )?.[1];
    expect(new RegExp(pattern ?? "$^").test(path)).toBe(daemons);
  });

  test.each([
    { domain: "a.test", policy: true, www: true },
    { domain: "_a.test", policy: false, www: true },
    { domain: "192.0.2.7", policy: false, www: false },
  ])("$domain has an MTA-STS policy: $policy, and a www: $www", ({ domain, policy, www }) => {
    const { web } = filesOf(domain);
    expect(web["mta-sts.txt"]).toBe(
      policy ? `version: STSv1\nmode: enforce\nmx: ${domain}\nmax_age: 2419200\n` : undefined,
    );
    expect(web["nginx.conf"]?.includes("/.well-known/mta-sts.txt")).toBe(policy);
    expect(web["nginx.conf"]?.includes(`server_name www.${domain};`)).toBe(www);
    expect(web["autoconfig.xml"]).toContain(`<hostname>${domain}</hostname>`);
  });

  test("a mail for as many as port 25 takes has room in the headers of one request", () => {
    const text = file("web", "nginx.conf");
    const [, most] = /max_headers (\d+);/.exec(text) ?? [];
    const [, buffers, kilobytes] = /large_client_header_buffers (\d+) (\d+)k;/.exec(text) ?? [];
    // nginx's own limit is 1,000, and there are others beside the recipients
    expect(Number(most)).toBeGreaterThan(mostRecipients + 50);
    expect(Number(buffers) * Number(kilobytes) * 1024).toBeGreaterThan(
      mostRecipients * (100 + "X-Mail-To: \r\n".length),
    );
  });

  test("own pages may bring styles of their own; scripts from elsewhere stay out", () => {
    const policy = (fields: Fields) =>
      /Content-Security-Policy "([^"]*)"/.exec(file("web", "nginx.conf", "a.test", fields))?.[1] ?? "";
    expect(policy({})).not.toContain("unsafe-inline");
    expect(policy({})).toContain("default-src 'none'");
    expect(policy({ website: { configMapName: "pages" } })).toContain("style-src 'self' 'unsafe-inline'");
    expect(policy({ website: { configMapName: "pages" } })).not.toContain("http");
  });
});

describe("invites", () => {
  const usual = { usernameMinLength: 9, usernameMaxLength: 9, passwordMinLength: 9 };
  const short = { link: "dcaccount:a.test", page: "https://a.test/" };
  const long = { link: "dcaccount:https://a.test/new", page: "https://a.test/" };
  test.each([
    { domain: "a.test", registration: "Open", invite: short },
    { domain: "_a.test", registration: "Open", invite: { link: "dcaccount:_a.test", page: "https://_a.test/" } },
    { domain: "192.0.2.7", registration: "Open", invite: { page: "https://192.0.2.7/join" } },
    { domain: "2001:db8::9", registration: "Open", invite: { page: "https://[2001:db8::9]/join" } },
    { domain: "a.test", registration: "Invite", invite: {} },
    { domain: "a.test", registration: "Closed", invite: {} },
    { domain: "a.test", registration: "Open", usernameMinLength: 1, usernameMaxLength: 64, invite: short },
    { domain: "a.test", registration: "Open", usernameMinLength: 10, usernameMaxLength: 10, invite: long },
    { domain: "a.test", registration: "Open", usernameMinLength: 8, usernameMaxLength: 8, invite: long },
    { domain: "a.test", registration: "Open", passwordMinLength: 50, invite: short },
    { domain: "a.test", registration: "Open", passwordMinLength: 51, invite: long },
    { domain: "_a.test", registration: "Open", passwordMinLength: 51, invite: { page: "https://_a.test/join" } },
    { domain: "a.test", registration: "Invite", passwordMinLength: 51, invite: {} },
    { domain: "a.test", registration: "Closed", passwordMinLength: 51, invite: {} },
  ] as const)(
    "on $domain with $registration, names of $usernameMinLength to $usernameMaxLength and passwords from $passwordMinLength everybody may know $invite",
    ({ domain, invite, ...rules }) => {
      expect(publicInvite(domain, { ...usual, ...rules })).toEqual(invite);
    },
  );

  test.each([
    ["friends-2026", "friends-2026"],
    [" friends-2026\n", "friends-2026"],
    ["https://a.test/i/k3v9k3v9", "k3v9k3v9"],
    ["dcaccount:https://a.test/new?i=k3v9k3v9", "k3v9k3v9"],
    ["short", undefined],
    ["with space 123", undefined],
    ["https://a.test/", undefined],
    ["", undefined],
    ["x".repeat(129), undefined],
  ])("the invite in %j is %s", (value, token) => expect(inviteTokenIn(value)).toBe(token));

  test("a link for holders is there where clients can use one", () => {
    expect(inviteLink("a.test", "k3v9k3v9")).toBe("dcaccount:https://a.test/new?i=k3v9k3v9");
    expect(inviteLink("_a.test", "k3v9k3v9")).toBeUndefined();
    expect(invitePage("_a.test", "k3v9k3v9")).toBe("https://_a.test/i/k3v9k3v9");
    expect(invitePage("2001:db8::9", "k3v9k3v9")).toBe("https://[2001:db8::9]/i/k3v9k3v9");
  });
});

describe("what the relay daemon is told", () => {
  const told = (...args: Parameters<typeof aSpec>) => JSON.parse(file("relay", "relay.json", ...args));

  test("push tokens go to the push service of Delta Chat, or to the one that is named, or nowhere", () => {
    expect(told("a.test").push).toEqual({ "a.test": { url: "https://notifications.delta.chat/notify" } });
    const url = "https://push.example.org/notify";
    expect(told("a.test", { services: { push: { url } } }).push).toEqual({ "a.test": { url } });
    expect(told("a.test", { services: { push: { enabled: false } } })).not.toHaveProperty("push");
  });

  test("an iroh relay is there where the spec names one", () => {
    expect(told()).not.toHaveProperty("iroh");
    const url = "https://iroh.example.org";
    expect(told("a.test", { services: { iroh: { url } } }).iroh).toEqual({ "a.test": url });
  });
});

describe("TURN", () => {
  const services = { turn: { enabled: true, firstRelayPort: 50_000, relayPortCount: 10 } };
  const lines = file("turn", "turnserver.conf", "nine.example.org", { services }).trimEnd().split("\n");

  test("off by default, and then nothing of it is there", () => {
    const { turn, relay } = filesOf();
    expect(turn).toEqual({});
    expect(JSON.parse(relay["relay.json"] ?? "")).not.toHaveProperty("turn");
    expect(relayContainers().map(({ name }) => name)).not.toContain("turn");
  });

  test("realm and ports come from the spec, and whoever wants in needs a credential", () => {
    expect(lines).toEqual(expect.arrayContaining(["realm=nine.example.org", "min-port=50000", "max-port=50009"]));
    expect(lines).toEqual(expect.arrayContaining(["use-auth-secret", "no-cli", "no-tcp-relay"]));
  });

  test.each([
    { ports: 4, total: 3, credential: 1 },
    { ports: 10, total: 9, credential: 2 },
    { ports: 40, total: 36, credential: 6 },
    { ports: 500, total: 450, credential: 6 },
  ])(
    "of $ports ports $total are used at the same time, by one credential $credential",
    ({ ports, total, credential }) => {
      const turn = { enabled: true, relayPortCount: ports };
      const conf = file("turn", "turnserver.conf", "nine.example.org", { services: { turn } }).split("\n");
      expect(conf).toEqual(expect.arrayContaining([`total-quota=${total}`, `user-quota=${credential}`]));
      // an account has two credentials that are valid at most
      expect(2 * credential).toBeLessThan(total);
    },
  );

  test("the secret is not in the ConfigMap", () => {
    expect(lines.filter((line) => line.includes("secret"))).toEqual(["use-auth-secret"]);
  });

  test.each([
    "0.0.0.0",
    "10.244.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "172.31.255.255",
    "192.168.1.1",
    "255.255.255.255",
    "::1",
    "::ffff:10.0.0.1",
    "64:ff9b::a00:1",
    "2002:a00:1::1",
    "fd00::1",
    "fe80::1",
    "ff02::1",
  ])("%s is no peer", (address) => expect(isDenied(address)).toBe(true));

  test.each(["9.9.9.9", "172.32.0.1", "192.169.0.1", "203.0.113.7", "2a01:4f8::1", "2620:fe::fe"])(
    "%s may be one",
    (address) => expect(isDenied(address)).toBe(false),
  );

  function isDenied(address: string): boolean {
    const denied = new BlockList();
    for (const range of deniedPeers) {
      const [first = "", last = ""] = range.split("-");
      denied.addRange(first, last, isIPv4(first) ? "ipv4" : "ipv6");
    }
    return denied.check(address, isIPv4(address) ? "ipv4" : "ipv6");
  }

  test("an address literal is told without brackets", () => {
    const config = JSON.parse(file("relay", "relay.json", "192.0.2.7", { services }));
    expect(config.turn).toEqual({
      "192.0.2.7": { host: "192.0.2.7", port: 3478, secretFile: "/etc/chatmail/turn-secret/secret" },
    });
  });
});

describe("containers", () => {
  const turn = { relayPorts: [49_152, 49_153], external: { address: "192.0.2.7" } };
  const all = [...relayContainers({ turn }), prepareContainer, expiryContainer];

  test("whoever is root has few rights, and the others have none", () => {
    expect(all.filter(({ uid }) => uid === 0).map(({ name }) => name)).toEqual(["postfix", "prepare"]);
    for (const { uid, capabilities } of all) if (uid !== 0) expect(capabilities).toEqual([]);
  });

  test("each container mounts what its configuration names", () => {
    const { postfix, dovecot, web, turn } = filesOf("nine.example.org", { services: { turn: { enabled: true } } });
    for (const [name, files] of Object.entries({ postfix, dovecot, web, turn })) {
      const mounts = all.find((each) => each.name === name)?.mounts.map(({ at }) => at) ?? [];
      const text = Object.values(files).join("\n");
      for (const path of [...Object.values(folders), ...Object.values(sockets)]) {
        const used = new RegExp(`${path}(?![a-z-])`).test(text);
        if (used)
          expect(
            mounts.some((at) => path === at || path.startsWith(`${at}/`)),
            `${name}: ${path}`,
          ).toBe(true);
      }
    }
  });

  test("no two mounts of a container are at the same place, no two ports are the same", () => {
    for (const { mounts } of all) expect(new Set(mounts.map(({ at }) => at)).size).toBe(mounts.length);
    const ports = all.flatMap((each) => each.ports.map(({ port }) => port));
    expect(new Set(ports).size).toBe(ports.length);
  });
});

test("what is loaded into Dovecot speaks to the daemon's own socket", () => {
  const source = (name: string) => readFileSync(join(import.meta.dirname, "../../../image", name), "utf8");
  expect(source("delivered.c")).toContain(`#define DAEMON_SOCKET "${sockets.delivered}"\n`);
  expect(file("dovecot", "dovecot.conf")).toContain(`socket = ${sockets.auth}\n`);
  expect(source("auth.lua")).toContain('proxy_socket_path = args["socket"]');
});
