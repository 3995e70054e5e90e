/** What the images hold: no more than they run, and the licences of that. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { lastImages } from "../../scripts/images.ts";
import { relayImage } from "../helpers/relay-image.ts";
import { docker, tryDocker } from "../lab/docker.ts";

let relay: string;
beforeAll(async () => {
  relay = await relayImage();
});

const inRelay = async (script: string) =>
  (
    await docker(["run", "--rm", "--network", "none", "--user", "0", "--entrypoint", "bash", relay, "-c", script])
  ).trim();

test.each([
  { target: "operator", mostMegabytes: 130 },
  { target: "relay", mostMegabytes: 200 },
] as const)("the $target image has $mostMegabytes MB at most", ({ target, mostMegabytes }) => {
  expect(statSync(lastImages()[target].archive).size / 1e6).toBeLessThan(mostMegabytes);
});

test("each package of the relay image brings its licence, and none that installs others is left", async () => {
  const packages = (await inRelay("awk '/^Package: /{print $2}' /var/lib/dpkg/status")).split("\n");
  expect(packages).toEqual(expect.arrayContaining(["postfix", "dovecot-core", "nginx", "coturn", "bash"]));
  for (const gone of ["apt", "dpkg", "perl-base"]) expect(packages).not.toContain(gone);
  const lacks = 'while read name; do [ -s "/usr/share/doc/$name/copyright" ] || echo "$name"; done';
  expect(await inRelay(`awk '/^Package: /{print $2}' /var/lib/dpkg/status | ${lacks}`)).toBe("");
});

test("no program has a setuid or setgid bit, and no link of the system's leads nowhere", async () => {
  expect(await inRelay("find / -xdev -type f -perm /6000")).toBe("");
  expect(await inRelay("find /bin/ /sbin/ /lib/ /usr /etc -xdev -xtype l")).toBe("");
});

test("programs that the guide runs in a container of a relay are in the image", async () => {
  const pages = readdirSync("docs").filter((name) => name.endsWith(".md"));
  const text = pages.map((name) => readFileSync(`docs/${name}`, "utf8")).join("\n");
  const named = [...text.matchAll(/kubectl [^`\n]*\bexec\b[^`\n]* -- ([\w/.-]+)/g)].map(([, program]) => program ?? "");
  expect(named).toEqual(expect.arrayContaining(["tar", "postqueue", "df"]));
  // kubectl cp runs tar; an administrator looks with ps, and tries the way of a call with coturn's
  // client
  const wanted = [...new Set([...named, "tar", "ps", "turnutils_uclient"])];
  expect(await inRelay(`for each in ${wanted.join(" ")}; do command -v $each >/dev/null || echo $each; done`)).toBe("");
});

test("Dovecot and Postfix load no library that no relay uses, which each process would pay for", async () => {
  const programs =
    "/usr/lib/dovecot/{imap,lmtp} /usr/lib/dovecot/modules/lib10_quota_plugin.so /usr/lib/postfix/sbin/smtpd";
  const loaded = await inRelay(`LD_LIBRARY_PATH=/usr/lib/postfix:/usr/lib/dovecot ldd ${programs}`);
  expect(loaded).toContain("libdovecot-storage.so.0 => /");
  expect(loaded).not.toMatch(/not found|libstdc\+\+|krb5|icudata/);
});

test("the operator's image is node without a shell, and finds names and authorities", async () => {
  const { operator } = lastImages();
  await docker(["load", "--quiet", "--input", operator.archive]);
  const run = (...words: readonly string[]) => tryDocker(["run", "--rm", "--network", "none", ...words]);
  try {
    const program = `
      const { address } = await require("node:dns/promises").lookup("localhost");
      const authorities = require("node:fs").readFileSync("/etc/ssl/certs/ca-certificates.crt", "utf8");
      console.log(JSON.stringify([process.getuid(), address, authorities.split("BEGIN").length > 100]));`;
    const node = ["--entrypoint", "/usr/local/bin/node", operator.name, "-e", `(async () => {${program}})()`];
    const { stdout, stderr } = await run(...node);
    expect(stderr).toBe("");
    expect(JSON.parse(stdout)).toEqual([65532, expect.stringMatching(/^(127\.0\.0\.1|::1)$/), true]);
    expect((await run("--entrypoint", "/bin/sh", operator.name, "-c", "true")).code).not.toBe(0);
  } finally {
    await tryDocker(["rmi", operator.name]);
  }
});

/** What Dovecot has libraries for that are not linked by name. */
test("a search finds words whatever their case and character set", async () => {
  const settings = [
    ...[
      "dovecot_config_version = 2.4.1",
      "dovecot_storage_version = 2.4.1",
      "base_dir = /tmp",
      "mail_driver = maildir",
    ],
    ...["mail_path = /tmp/mail", "mail_home = /tmp/home", "mail_uid = 5000", "mail_gid = 5000"],
  ];
  const mail = [
    ...["Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Content-Type: text/plain; charset=iso-8859-1", ""],
    "Stra\\337e",
  ].join("\\r\\n");
  const [subject, body] = ["GR\u00dc\u00dfE", "STRA\u00dfE"];
  const literal = (text: string) => `{${Buffer.byteLength(text)}+}\r\n${text}`;
  const session = [
    `a SELECT INBOX`,
    `b SEARCH CHARSET UTF-8 SUBJECT ${literal(subject)}`,
    `c SEARCH CHARSET UTF-8 BODY ${literal(body)}`,
    "d LOGOUT",
    "",
  ].join("\r\n");
  const quoted = (text: string) => `$(echo ${Buffer.from(text).toString("base64")} | base64 -d)`;
  const script = `
    export USER=nobody HOME=/tmp/home
    printf '%s\n' "${quoted(settings.join("\n"))}" > /tmp/dovecot.conf
    mkdir -p /tmp/mail/{cur,new,tmp} && printf '${mail}' > /tmp/mail/new/1.mail && chown -R 5000:5000 /tmp/mail
    printf '%s\r\n' "${quoted(session)}" | doveadm -c /tmp/dovecot.conf exec imap`;
  const said = await inRelay(script);
  expect(said.match(/^\* SEARCH.*$/gm)?.map((line) => line.trim())).toEqual(["* SEARCH 1", "* SEARCH 1"]);
});
