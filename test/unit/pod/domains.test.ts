/**
 * What the programs are told of several domains; of one domain it is what they were told when there
 * could be no more.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { dovecotFieldsOf } from "../../../src/pod/dovecot.ts";
import { partFiles } from "../../../src/pod/files.ts";
import { mainDomain, nameDomain, otherDomains, Plan, type WrittenPlan } from "../../../src/pod/plan.ts";
import { mainSettings } from "../../../src/pod/postfix.ts";
import { relayConfig } from "../../../src/pod/relay-config.ts";

type WrittenDomain = WrittenPlan["domains"][number];
const planOf = (...domains: (string | WrittenDomain)[]) =>
  Plan.parse({ version: 1, domains: domains.map((each) => (typeof each === "string" ? { domain: each } : each)) });

const three = planOf("nine.example.org", "_nine.test", "192.0.2.7");
const nginx = (plan: Plan) => partFiles("web", plan)["nginx.conf"] ?? "";
const dovecot = (plan: Plan) => partFiles("dovecot", plan)["dovecot.conf"] ?? "";
/** The server blocks of http, without their indentation. */
const servers = (plan: Plan) => (/^http \{$([\s\S]*)/m.exec(nginx(plan))?.[1] ?? "").split(/^ {2}server \{$/m).slice(1);

test.each([
  { domains: ["nine.example.org"], main: "nine.example.org", name: "nine.example.org" },
  { domains: ["_nine.test", "nine.example.org"], main: "_nine.test", name: "nine.example.org" },
  { domains: ["192.0.2.7", "_nine.test"], main: "192.0.2.7", name: "_nine.test" },
  { domains: ["a.example", "b.example", "192.0.2.7"], main: "192.0.2.7", name: "a.example" },
  { domains: ["192.0.2.7", "192.0.2.8"], main: "192.0.2.7", name: "192.0.2.7" },
])("of $domains $main is for whoever names none, and the pod is called $name", ({ domains, main, name }) => {
  const plan = planOf(...domains);
  expect(mainDomain(plan).domain).toBe(main);
  expect(nameDomain(plan).domain).toBe(name);
  expect(otherDomains(plan).map(({ domain }) => domain)).toEqual(domains.filter((each) => each !== main));
});

describe("an IPv6 address", () => {
  const plan = planOf("nine.example.org", "2001:db8::9");
  const alone = planOf("2001:db8::9");

  test("is a literal to Postfix, which is called by its reverse name, and connects by its family", () => {
    expect(mainSettings(alone)).toMatchObject({
      mydestination: "[ipv6:2001:db8::9]",
      myorigin: "[ipv6:2001:db8::9]",
      myhostname: `9.${"0.".repeat(23)}8.b.d.0.1.0.0.2.ip6.arpa`,
      smtp_address_preference: "ipv6",
      smtpd_tls_chain_files: "/run/chatmail/tls/2001-db8--9",
    });
    expect(mainSettings(three)).toMatchObject({ smtp_address_preference: "ipv4" });
    expect(mainSettings(planOf("nine.example.org"))).not.toHaveProperty("smtp_address_preference");
    expect(mainSettings(plan).mydestination).toBe("nine.example.org [ipv6:2001:db8::9]");
  });

  test("has brackets as a host, and no colon in a file's name", () => {
    expect(servers(plan).filter((each) => each.includes("    server_name [2001:db8::9];\n"))).toHaveLength(2);
    expect(nginx(plan)).toContain("proxy_set_header Host [2001:db8::9];");
    expect(nginx(plan)).toContain("return 301 https://[2001:db8::9]$request_uri;");
    expect(nginx(planOf("192.0.2.7", "2001:db8::9"))).toContain("zone=new-2001-db8--9:1m");
    for (const path of Object.keys(partFiles("web", plan))) expect(path).not.toContain(":");
  });
});

describe("Postfix", () => {
  test("takes mail for all of them, and shows each one's certificate to who names it", () => {
    const main = mainSettings(three);
    expect(main.mydestination).toBe("nine.example.org _nine.test [192.0.2.7]");
    expect(main).toMatchObject({ myhostname: "nine.example.org", myorigin: "nine.example.org" });
    expect(main.smtpd_tls_chain_files).toBe("/run/chatmail/tls/192.0.2.7");
    expect(main.tls_server_sni_maps).toBe("texthash:/etc/chatmail/postfix/current/server_names");
    expect(partFiles("postfix", three).server_names).toBe(
      "nine.example.org /run/chatmail/tls/nine.example.org\n_nine.test /run/chatmail/tls/_nine.test\n",
    );
  });

  test("calls itself as the plan says", () => {
    const plan = { ...three, hostname: "pod.example" };
    expect(mainSettings(plan)).toMatchObject({ myhostname: "pod.example", myorigin: "nine.example.org" });
  });

  test("takes the largest that any of them does", () => {
    const sized = (domain: string, maxBytes: number) => ({ domain, messages: { maxBytes } });
    expect(mainSettings(planOf(sized("a.test", 5), sized("b.test", 9))).message_size_limit).toBe(9);
  });

  test.each([["a.test"], ["192.0.2.7", "192.0.2.8"]])("has no table of names for %s", (...domains) => {
    const plan = planOf(...domains);
    expect(mainSettings(plan)).not.toHaveProperty("tls_server_sni_maps");
    expect(partFiles("postfix", plan)).not.toHaveProperty("server_names");
  });
});

describe("Dovecot", () => {
  test("shows each one's certificate to who names it", () => {
    const text = dovecot(three);
    expect(text).toContain("\nssl_server_cert_file = /run/chatmail/tls/192.0.2.7\n");
    const blocks = [
      ...text.matchAll(
        /^local_name (\S+) \{\n {2}ssl_server_cert_file = (\S+)\n {2}ssl_server_key_file = (\S+)\n\}$/gm,
      ),
    ];
    expect(blocks.map(([, ...rest]) => rest)).toEqual(
      ["nine.example.org", "_nine.test"].map((name) => [name, ...Array(2).fill(`/run/chatmail/tls/${name}`)]),
    );
    expect(dovecot(planOf("a.test"))).not.toContain("local_name");
  });

  const off = { push: { enabled: false } };
  test.each([
    { what: "nothing where it is as the main one", domain: {}, main: {}, fields: undefined },
    { what: "its quota", domain: { accounts: { quotaBytes: 7 } }, main: {}, fields: { quota_storage_size: "7B" } },
    {
      what: "its contact",
      domain: { privacy: { mail: "a@b.test" } },
      main: {},
      fields: { mail_server_admin: "mailto:a@b.test" },
    },
    {
      what: "that it has no contact",
      domain: {},
      main: { privacy: { mail: "a@b.test" } },
      fields: { mail_server_admin: "" },
    },
    {
      what: "that it has no push",
      domain: { services: off },
      main: {},
      fields: { "imap_capability/XDELTAPUSH": "no" },
    },
    {
      what: "nothing of push where nobody has it",
      domain: { services: off },
      main: { services: off },
      fields: undefined,
    },
  ])("is told of an account: $what", ({ domain, main, fields }) => {
    const plan = planOf({ domain: "main.test", ...main }, { domain: "other.test", ...domain });
    const [, other = expect.unreachable()] = plan.domains;
    expect(dovecotFieldsOf(other, plan)).toEqual(fields);
    expect(relayConfig(plan).dovecot).toEqual(fields && { "other.test": fields });
  });

  test("offers push where one has it; the main one's accounts are told where it is another", () => {
    const plan = planOf({ domain: "main.test", services: off }, "other.test");
    expect(dovecot(plan)).toContain("XDELTAPUSH = yes");
    expect(relayConfig(plan).dovecot).toEqual({ "main.test": { "imap_capability/XDELTAPUSH": "no" } });
  });
});

describe("nginx", () => {
  test("has the pages of each under its names, and none for every other name", () => {
    const named = servers(three).map((text) => ({
      isDefault: text.includes("default_server"),
      names: /server_name ([^;]+);/.exec(text)?.[1],
      leadsTo: /return 301 https:\/\/([^$]+)\$/.exec(text)?.[1] ?? /^ {4}root (.*);$/m.exec(text)?.[1],
    }));
    const pages = (domain: string) => `/etc/chatmail/web/current/domains/${domain}/pages`;
    expect(named).toEqual([
      { isDefault: true, names: undefined, leadsTo: undefined },
      { isDefault: true, names: undefined, leadsTo: undefined },
      { isDefault: false, names: "192.0.2.7", leadsTo: "192.0.2.7" },
      { isDefault: false, names: "192.0.2.7", leadsTo: "/etc/chatmail/web/current/pages" },
      ...["nine.example.org", "_nine.test"].flatMap((domain) => [
        { isDefault: false, names: `${domain} mta-sts.${domain} www.${domain}`, leadsTo: domain },
        { isDefault: false, names: `${domain} mta-sts.${domain}`, leadsTo: pages(domain) },
        { isDefault: false, names: `www.${domain}`, leadsTo: domain },
      ]),
    ]);
  });

  test("shows each one's certificate under its names", () => {
    const [, , lines = ""] = /map (\S+) \$served_tls \{\n([^}]*)\}/.exec(nginx(three)) ?? [];
    expect(lines.trim().split(/;\s*/).filter(Boolean)).toEqual([
      "default /run/chatmail/tls/192.0.2.7",
      ...["nine.example.org", "_nine.test"].flatMap((domain) =>
        ["", "mta-sts.", "www."].map((before) => `${before}${domain} /run/chatmail/tls/${domain}`),
      ),
    ]);
    expect(nginx(planOf("a.test"))).toContain('map "" $served_tls {\n    default /run/chatmail/tls/a.test;\n  }');
  });

  test("has each name once, also where one domain is www or mta-sts of another", () => {
    const plan = planOf("a.test", "b.test", "www.b.test", "mta-sts.b.test");
    const [, lines = ""] = /\$served_tls \{\n([^}]*)\}/.exec(nginx(plan)) ?? [];
    const named = [...lines.matchAll(/^ {4}(\S+) /gm)].map(([, name]) => name);
    expect(named).toHaveLength(new Set(named).size);
    expect(lines).toContain("    www.b.test /run/chatmail/tls/www.b.test;\n");
    const https = servers(plan).filter((text) => text.includes(":8443"));
    const names = https.flatMap((text) => /server_name ([^;]+);/.exec(text)?.[1]?.split(" ") ?? []);
    expect(names).toHaveLength(new Set(names).size);
    expect(names).toEqual(expect.arrayContaining(["www.b.test", "mta-sts.b.test", "www.www.b.test"]));
  });

  test("tells the daemon which domain is meant, and slows each one's newcomers by its own rate", () => {
    const plan = planOf(
      { domain: "a.test", accounts: { createRatePerMinute: 7 } },
      { domain: "b.test", accounts: { createBurst: 3 } },
    );
    const text = nginx(plan);
    expect(text).toMatch(/limit_req_zone \$client zone=new:1m rate=7r\/m;\n.*zone=new-b\.test:1m rate=120r\/m;/);
    const hosts = [...text.matchAll(/limit_req zone=(\S+) burst=(\d+)[\s\S]*?proxy_set_header Host (\S+);/g)];
    expect(hosts.map(([, ...rest]) => rest)).toEqual([
      ["new", "300", "a.test"],
      ["new-b.test", "3", "b.test"],
    ]);
  });

  test("has no file of one domain that names another", () => {
    const plan = planOf("nine.example.org", "ten.example.org", { domain: "own.example.org", website: { own: true } });
    const names = plan.domains.map(({ domain }) => domain);
    for (const [path, text] of Object.entries(partFiles("web", plan)).filter(([path]) => path !== "nginx.conf")) {
      const of = /^domains\/([^/]+)\//.exec(path)?.[1] ?? "nine.example.org";
      for (const name of names) if (name !== of) expect(`${path} ${text}`).not.toContain(name);
    }
    expect(nginx(plan)).toContain("root /srv/chatmail/pages/own.example.org;");
  });

  test.each(["a".repeat(250), `${"a.".repeat(120)}test`])("a long name has room in its tables: %#", (domain) => {
    expect(nginx(planOf("a.test", domain))).toMatch(/map_hash_bucket_size 512;[\s\S]*?\bmap \$/);
  });
});

test("the daemon has the secrets of each in folders of their own", () => {
  const plan = planOf(
    {
      domain: "a.test",
      accounts: { registration: "Invite" },
      services: { appVersions: true, irohUrl: "https://i.test" },
    },
    {
      domain: "b.test",
      accounts: { registration: "Invite" },
      website: { own: true },
      services: { push: { enabled: false } },
    },
    "192.0.2.7",
  );
  const config = relayConfig(plan);
  expect(config.dkim["a.test"]).toBe("/etc/chatmail/dkim/a.test");
  expect(Object.keys(config.dkim)).toEqual(["a.test", "b.test"]);
  expect(config.domains["a.test"]?.invitesFolder).toBe("/etc/chatmail/invites/a.test");
  expect(config.domains["b.test"]?.invitesFolder).toBe("/etc/chatmail/invites/b.test");
  expect(config.domains["192.0.2.7"]).not.toHaveProperty("invitesFolder");
  expect(config).toMatchObject({
    appVersions: { "a.test": "/etc/chatmail/app-versions/a.test/appversions.json" },
    iroh: { "a.test": "https://i.test" },
    ownPages: ["b.test"],
  });
  expect(Object.keys(config.push ?? {})).toEqual(["a.test", "192.0.2.7"]);
});

/**
 * Bytes that pods had before there could be several domains, with the folder of the one domain
 * where its Secrets are now.
 */
test.each(["postfix", "dovecot", "web"] as const)("one domain: %s is told what it was told before", (part) => {
  const plan = Plan.parse(
    JSON.parse(readFileSync(join(import.meta.dirname, "../../fixtures/plan/everything.json"), "utf8")),
  );
  const text = Object.values(partFiles(part, plan)).join("\n");
  expect(text).not.toMatch(/domains\/|local_name|sni_maps|ssl_server_name|new-|map_hash/);
});
