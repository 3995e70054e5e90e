/** The texts that the operator writes: they follow the spec, and nothing in a spec can add a line to them. */
import { describe, expect, test } from "vitest";
import { ChatmailServerSpec } from "../../../src/api/chatmail-server.ts";
import { expiryContainer, prepareContainer, relayContainers } from "../../../src/mail/containers.ts";
import { adminContact } from "../../../src/mail/dovecot.ts";
import { configMapData, configMapItems, type FileFolder, fileFolders, relayFiles } from "../../../src/mail/files.ts";
import { folders, sockets } from "../../../src/mail/layout.ts";
import { escapeHtml, qrSvg, readableSize } from "../../../src/mail/pages.ts";
import { mainSettings, settings } from "../../../src/mail/postfix.ts";

type Fields = Omit<Partial<Parameters<typeof ChatmailServerSpec.parse>[0] & object>, "domain">;
const aSpec = (domain = "nine.example.org", fields: Fields = {}) => ChatmailServerSpec.parse({ domain, ...fields });
const filesOf = (...args: Parameters<typeof aSpec>) => relayFiles(aSpec(...args));
const file = (folder: FileFolder, name: string, ...args: Parameters<typeof aSpec>): string =>
  filesOf(...args)[folder][name] ?? "";

describe("Postfix", () => {
  test.each([
    { domain: "nine.example.org", myhostname: "nine.example.org", mydestination: "nine.example.org" },
    { domain: "_nine.test", myhostname: "_nine.test", mydestination: "_nine.test" },
    { domain: "192.0.2.7", myhostname: "7.2.0.192.in-addr.arpa", mydestination: "[192.0.2.7]" },
  ])("$domain is $myhostname and takes mail for $mydestination", ({ domain, myhostname, mydestination }) => {
    expect(mainSettings(aSpec(domain))).toMatchObject({ myhostname, mydestination, myorigin: mydestination });
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
    const fields = { messages: { maxSize: "5Mi" }, accounts: { smtpConnections: 200 } };
    expect(file("postfix", "main.cf", "a.test", fields)).toContain("message_size_limit = 5242880\n");
    const master = file("postfix", "master.cf", "a.test", fields);
    expect(master).toMatch(/^submission inet n - n - 200 smtpd$/m);
    expect(master).toContain("smtpd_client_connection_count_limit=40\n");
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

  test("a value with a line break is never written", () => {
    expect(() => settings({ myhostname: "a\nb = c" })).toThrow(RangeError);
  });
});

describe("Dovecot", () => {
  test("braces close, and limits come from the spec", () => {
    const text = file("dovecot", "dovecot.conf", "a.test", {
      accounts: { mailboxQuota: "100Mi", imapConnections: 77 },
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
    const page = file("pages", "index.html", "a.test", { privacy: { postal: nasty, dataOfficer: nasty } });
    expect(page).not.toContain("<script");
    expect(page).toContain("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; &#39;x&#39;<br>2nd line");
  });

  test("nothing is loaded from elsewhere", () => {
    const { pages } = filesOf();
    const loads = Object.values(pages).flatMap(
      (text) => text.match(/(?:src|url\(|@import|<link[^>]*href)[^>\s]*/g) ?? [],
    );
    for (const each of loads) expect(each).not.toMatch(/https?:|\/\//);
    expect(pages["index.html"]).not.toContain("<script");
  });

  test.each([
    { registration: "Open", invited: true },
    { registration: "Invite", invited: false },
    { registration: "Closed", invited: false },
  ] as const)("registration $registration: an open invitation is shown: $invited", ({ registration, invited }) => {
    const page = file("pages", "index.html", "a.test", { accounts: { registration } });
    expect(page.includes('href="dcaccount:a.test"')).toBe(invited);
    expect(page.includes("<svg")).toBe(invited);
  });

  test("limits are said as people say them", () => {
    const page = file("pages", "index.html", "a.test", { messages: { deleteAfterDays: 1, deleteLargeAfterDays: 1 } });
    expect(page).toContain("<dd>1 day</dd>");
    expect(page).toContain("<dd>500 MiB</dd>");
  });

  test.each([
    [0, "0 bytes"],
    [1024, "1 KiB"],
    [1536 * 1024 ** 2, "1.5 GiB"],
    [2 ** 50, "1024 TiB"],
  ])("%i is %s", (bytes, said) => expect(readableSize(bytes)).toBe(said));

  test("a QR code is square, with a quiet zone", () => {
    const svg = qrSvg("dcaccount:a.test", "<label>");
    expect(svg).toMatch(/viewBox="0 0 (\d+) \1"/);
    expect(svg).toContain(escapeHtml("<label>"));
    expect(svg.split('fill="#000"')[1]).not.toMatch(/M[0-3] |M\d+ [0-3]h/);
  });
});

describe("containers", () => {
  const all = [...relayContainers(), prepareContainer, expiryContainer];

  test("whoever is root has few rights, and the others have none", () => {
    expect(all.filter(({ uid }) => uid === 0).map(({ name }) => name)).toEqual(["postfix", "prepare"]);
    for (const { uid, capabilities } of all) if (uid !== 0) expect(capabilities).toEqual([]);
  });

  test("each container mounts what its configuration names", () => {
    const { postfix, dovecot, web } = filesOf();
    for (const [name, files] of Object.entries({ postfix, dovecot, web })) {
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

test("the ConfigMap has every file once, under a key that Kubernetes takes", () => {
  const files = filesOf();
  const data = configMapData(files);
  expect(Object.keys(data)).toHaveLength(Object.values(files).flatMap((each) => Object.keys(each)).length);
  for (const key of Object.keys(data)) expect(key).toMatch(/^[-._a-zA-Z0-9]+$/);
  for (const folder of Object.keys(fileFolders) as FileFolder[]) {
    for (const { key, path } of configMapItems(files, folder)) expect(data[key]).toBe(files[folder][path]);
  }
});
