/**
 * An address comes into being with the first login, over IMAP or submission; from then on its
 * password counts.
 */
import { randomBytes } from "node:crypto";
import { statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ports } from "../../src/mail/ports.ts";
import { folders } from "../../src/pod/layout.ts";
import { newSetting, settingOf, sha512Crypt } from "../../src/relay/accounts/sha512-crypt.ts";
import { lengthVectors, publishedVectors } from "../helpers/crypt-vectors.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { randomName } from "../helpers/messages.ts";
import { proxyV2 } from "../helpers/proxy-header.ts";
import { type RelayPod, startRelayPod } from "../helpers/relay-pod.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";

let pod: RelayPod;
beforeAll(async () => {
  pod = await startRelayPod({ domain: "_accounts.test", spec: { privacy: { mail: "admin+relay@accounts.test" } } });
});
afterAll(() => pod?.remove());

const newAddress = (of: RelayPod = pod) => `${randomName(9)}@${of.domain}`;
const password = "correct horse";

async function imapLogin(user: string, secret: string, port: number = ports.imaps) {
  const client = await ImapClient.open(pod.at(port));
  const answer = await client.login(user, secret);
  await client.logout();
  return answer;
}

test("IMAP: the first login makes the address, another password is refused, the first goes on", async () => {
  const user = newAddress();
  expect((await imapLogin(user, password)).status).toBe("OK");
  expect(await imapLogin(user, "wrong password")).toMatchObject({
    status: "NO",
    text: expect.stringContaining("[AUTHENTICATIONFAILED]"),
  });
  expect((await imapLogin(user.toUpperCase(), password)).status).toBe("OK");
});

test("submission: the first login makes the address, on 465 and 587", async () => {
  for (const port of [ports.submissions, ports.submission]) {
    const user = newAddress();
    const client = await SmtpClient.ready(pod.at(port));
    expect(await client.login(user, password)).toMatchObject({ code: 235 });
    await client.quit();
    expect((await imapLogin(user, password)).status).toBe("OK");
    const stranger = await SmtpClient.ready(pod.at(port));
    expect(await stranger.login(user, "wrong password")).toMatchObject({
      code: 535,
      text: expect.stringContaining("5.7.8"),
    });
    await stranger.quit();
  }
});

test("the image's libxcrypt computes hashes, the same as ours in JavaScript", async () => {
  expect(await pod.exec("relay", "cat", "/proc/1/maps")).toContain("/opt/chatmail/crypt.node");
  const random = Array.from({ length: 40 }, (_, index) => {
    const secret = randomBytes(3 * index)
      .toString("latin1")
      .replaceAll("\0", "x");
    const rounds = index % 4 === 0 ? `rounds=${1000 + randomBytes(1).readUInt8()}$` : "";
    const setting = newSetting(randomBytes(12)).replace("$6$", `$6$${rounds}`);
    return [setting, secret, sha512Crypt(secret, setting)] as const;
  });
  const vectors = [...publishedVectors, ...lengthVectors, ...random];
  const script = `
    const { crypt } = require("/opt/chatmail/crypt.node");
    const jobs = JSON.parse(process.argv[1]);
    Promise.all(jobs.map(([setting, secret]) => crypt(Buffer.from(secret), setting)))
      .then((hashes) => console.log(JSON.stringify(hashes)));`;
  const jobs = vectors.map(([setting, secret]) => [settingOf(setting), secret]);
  const hashes = await pod.exec("relay", "node", "--input-type=commonjs", "--eval", script, JSON.stringify(jobs));
  expect(JSON.parse(hashes)).toEqual(vectors.map(([, , hash]) => hash));
});

describe("new addresses of one client", () => {
  const from = (port: number, client: string) => ({ ...few.at(port), preamble: proxyV2(client) });
  let few: RelayPod;
  beforeAll(async () => {
    few = await startRelayPod({
      domain: "_few.test",
      spec: {
        accounts: { createRatePerMinute: 1, createBurst: 2 },
        // the lab's own network, where the tests stand
        network: { proxyProtocol: { trustedNetworks: ["198.51.100.0/24"] } },
      },
    });
  });
  afterAll(() => few?.remove());

  const byImap = async (client: string, user: string) => {
    const imap = await ImapClient.open(from(ports.imaps, client));
    const { status, text } = await imap.login(user, password);
    await imap.logout();
    return status === "OK" ? status : `${status} ${/^\[\w+\]/.exec(text)?.[0]}`;
  };
  const bySmtp = async (client: string, user: string) => {
    const smtp = await SmtpClient.ready(from(ports.submissions, client));
    const { code } = await smtp.login(user, password);
    await smtp.quit();
    return code;
  };

  test.each([
    { what: "IPv4", client: "203.0.113.5", same: "203.0.113.5", other: "203.0.113.6" },
    { what: "IPv6", client: "2001:db8:0:1::5", same: "2001:db8:0:1::6", other: "2001:db8:0:2::5" },
  ])("$what: two are made, no third at either service; those that are there go on", async ({ client, same, other }) => {
    const [one, two, three] = [newAddress(few), newAddress(few), newAddress(few)] as const;
    expect([await byImap(client, one), await bySmtp(same, two)]).toEqual(["OK", 235]);
    expect([await byImap(client, three), await bySmtp(same, three)]).toEqual(["NO [LIMIT]", 454]);
    expect([await byImap(client, two), await bySmtp(same, one)]).toEqual(["OK", 235]);
    expect(await byImap(other, three)).toBe("OK");
  });

  test("the log says why, and names nobody", async () => {
    const said = await few.logs();
    expect(said).toContain("registration rejected: more than 2 at once from one client, 1 a minute");
    expect(said).not.toMatch(/203\.0\.113|2001:db8|@_few/);
  });
});

test("after some wrong passwords of a client others are not checked for a while: neither wrong nor an outage; the right one passes", async () => {
  const user = newAddress();
  expect((await imapLogin(user, password)).status).toBe("OK");
  // at most ten, and fewer where this client has had others wrong
  const texts = await Promise.all(Array.from({ length: 3 }, (_, index) => imapLogin(user, `wrong ${index}`)));
  for (const { text } of texts) expect(text).toMatch(/^\[AUTHENTICATIONFAILED\]/);
  const more = await Promise.all(Array.from({ length: 4 }, (_, index) => imapLogin(user, `more wrong ${index}`)));
  const last = await Promise.all(Array.from({ length: 4 }, (_, index) => imapLogin(user, `wrong again ${index}`)));
  const refused = [...more, ...last].map(({ text }) => text).filter((text) => !text.startsWith("[AUTH"));
  expect(refused.join("\n")).toMatch(
    /^\[LIMIT\] Too many wrong passwords, please try again in (a second|\d+ seconds)$/m,
  );
  expect((await imapLogin(user, password)).status).toBe("OK");
});

test.each([
  { what: "a short name", user: "abc@_accounts.test", secret: password },
  { what: "a short password", user: "abcdefgh1@_accounts.test", secret: "short" },
  { what: "another domain", user: "abcdefgh1@elsewhere.test", secret: password },
])("no address is made for $what", async ({ user, secret }) => {
  expect(await imapLogin(user, secret)).toMatchObject({
    status: "NO",
    text: expect.stringContaining("[AUTHENTICATIONFAILED]"),
  });
});

test("every character that /new puts into passwords is taken, by IMAP and by submission", async () => {
  const secret = Array.from({ length: 94 }, (_, index) => String.fromCharCode(33 + index)).join("");
  const [user, other] = [newAddress(), newAddress()];
  expect((await imapLogin(user, secret)).status).toBe("OK");
  expect((await imapLogin(user, secret.slice(1))).status).toBe("NO");
  const smtp = await SmtpClient.ready(pod.at(ports.submissions), other, secret);
  await smtp.quit();
  expect((await imapLogin(other, secret)).status).toBe("OK");
});

test("a login by IMAP notes the day, one by submission does not", async () => {
  const user = newAddress();
  const bySubmission = async () => (await SmtpClient.ready(pod.at(ports.submissions), user, password)).quit();
  await bySubmission();
  const file = join(pod.volume("mail"), pod.domain, user, "password");
  const noted = () => statSync(file).mtimeMs;
  const day = 86_400_000;
  utimesSync(file, 0, 0);
  await bySubmission();
  expect(noted()).toBe(0);
  const before = Date.now();
  expect((await imapLogin(user, password)).status).toBe("OK");
  expect(noted() % day).toBe(0);
  expect(noted()).toBeGreaterThan(before - day);
});

test("an administrator's doveadm sees who is there, and makes nobody", async () => {
  const user = newAddress();
  expect((await imapLogin(user, password)).status).toBe("OK");
  const doveadm = (...args: string[]) =>
    pod.exec("dovecot", "doveadm", "-c", `${folders.dovecotConfig}/dovecot.conf`, ...args);
  const nobody = newAddress();
  await expect(doveadm("user", nobody)).rejects.toThrow();
  const there = (await doveadm("user", "*")).trim().split("\n");
  expect(there).toContain(user);
  expect(there).not.toContain(nobody);
  expect(await doveadm("user", "-f", "home", user)).toBe(`${folders.mail}/${pod.domain}/${user}`);
});

test("ten devices of one address come at once, also when it is new", async () => {
  const user = newAddress();
  const clients = await Promise.all(
    Array.from({ length: 10 }, () => ImapClient.ready(pod.at(ports.imaps), user, password)),
  );
  for (const client of clients) expect(await client.say("SELECT INBOX")).toMatchObject({ status: "OK" });
  for (const client of clients) await client.logout();
});

test("before TLS nobody can log in", async () => {
  const imap = await ImapClient.open(pod.at(ports.imap));
  expect(imap.greeting).toMatch(/STARTTLS LOGINDISABLED/);
  expect((await imap.login(newAddress(), password)).status).toBe("NO");
  imap.destroy();
  const smtp = await SmtpClient.open(pod.at(ports.submission));
  expect(smtp.offers).toContain("STARTTLS");
  expect(smtp.offers).not.toContain("AUTH");
  expect((await smtp.login(newAddress(), password)).code).toBeGreaterThanOrEqual(500);
  await smtp.quit();
});

test("clients see what they look for: XCHATMAIL before login, METADATA and QUOTA after", async () => {
  const imap = await ImapClient.open(pod.at(ports.imaps));
  expect(imap.greeting).toMatch(/XCHATMAIL XDELTAPUSH/);
  const user = newAddress();
  const login = await imap.login(user, password);
  const words = ["ID", "IDLE", "MOVE", "QUOTA", "METADATA", "CONDSTORE", "SPECIAL-USE"];
  for (const word of [...words, "XDELTAPUSH", "XCHATMAIL"]) {
    expect(login.text.replace(/[[\]]/g, " ").split(" ")).toContain(word);
  }
  for (const token of ["1111", "2222"]) {
    expect(await imap.say(`SETMETADATA INBOX (/private/devicetoken "${token}")`)).toMatchObject({
      status: "OK",
      text: expect.stringMatching(/^Setmetadata completed/),
    });
  }
  // word for word as programs of the field read it
  expect(await imap.say("GETMETADATA INBOX /private/devicetoken")).toEqual({
    status: "OK",
    text: expect.stringMatching(/^Getmetadata completed/),
    untagged: ["* METADATA INBOX (/private/devicetoken {9}\r\n1111 2222)"],
  });
  const server = "/shared/vendor/deltachat";
  const entries = ["/shared/comment", "/shared/admin", `${server}/irohrelay`, `${server}/maxsmtprecipients`];
  const [told = ""] = (await imap.say(`GETMETADATA "" (${entries.join(" ")})`)).untagged;
  const limit = await pod.exec("postfix", "postconf", "-c", folders.postfixConfig, "-h", "smtpd_recipient_limit");
  expect(limit.trim()).toBe("1000");
  expect(told.replaceAll(/\{\d+\}\r\n/g, "")).toBe(
    `* METADATA "" (/shared/comment NIL /shared/admin mailto:admin+relay@accounts.test ${server}/irohrelay NIL ${server}/maxsmtprecipients 1000)`,
  );
  const quota = await imap.say("GETQUOTAROOT INBOX");
  expect(quota.untagged.join()).toMatch(/\* QUOTA "User quota" \(STORAGE 0 512000\)/);
  await imap.logout();
});

test("folders have their uses, and are there once somebody makes them", async () => {
  const imap = await ImapClient.ready(pod.at(ports.imaps), newAddress(), password);
  const list = async () => (await imap.say('LIST "" "*"')).untagged.filter((line) => line.startsWith("* LIST"));
  expect(await list()).toEqual([expect.stringMatching(/ "?INBOX"?$/)]);
  for (const name of ["Drafts", "Junk", "Trash", "Sent"]) {
    expect((await imap.say(`CREATE ${name}`)).status).toBe("OK");
    expect((await list()).find((line) => line.endsWith(` ${name}`))).toContain(`\\${name}`);
  }
  await imap.logout();
});

test("each container's own checker finds nothing to say about its files", async () => {
  expect(await pod.exec("postfix", "postconf", "-c", folders.postfixConfig, "-n")).not.toMatch(/warning/);
  expect(await pod.exec("postfix", "sh", "-c", `postconf -c ${folders.postfixConfig} -n 2>&1 >/dev/null`)).toBe("");
  expect(await pod.exec("postfix", "sh", "-c", `postconf -c ${folders.postfixConfig} -M 2>&1 >/dev/null`)).toBe("");
  expect(
    await pod.exec("dovecot", "sh", "-c", `doveconf -c ${folders.dovecotConfig}/dovecot.conf -n 2>&1 >/dev/null`),
  ).toBe("");
  expect(await pod.exec("web", "sh", "-c", `nginx -t -q -e stderr -c ${folders.webConfig}/nginx.conf 2>&1`)).toBe("");
});
