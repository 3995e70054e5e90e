/**
 * Nobody writes in another's name, and nobody gets a text past the filter: each service of a relay,
 * real Postfix and nginx behind it.
 */
import { rmSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ports } from "../../src/mail/ports.ts";
import { newAccount, password } from "../helpers/accounts.ts";
import { DeltaChatClient } from "../helpers/delta-chat.ts";
import { askHttps, postMail } from "../helpers/https.ts";
import { clearMessage, encryptedMessage, randomName } from "../helpers/messages.ts";
import { type RelayPod, startRelayPod } from "../helpers/relay-pod.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";
import { publishStrangeDomain, type StrangeDomain } from "../helpers/strange-domain.ts";
import { patienceMs, until } from "../helpers/until.ts";
import { publishZone, removeZone } from "../lab/names.ts";
import { addresses } from "../lab/place.ts";

const badFrom = "500 Invalid FROM header";
const encryptionNeeded = "523 Encryption Needed: Invalid Unencrypted Mail";
const noSignature = "554 5.7.1 No DKIM signature found";

let relay: RelayPod;
let evil: StrangeDomain;
let mallory: string;
let victim: string;
let bob: string;

beforeAll(async () => {
  relay = await startRelayPod({ domain: "_forged.test", spec: { accounts: { sendBurst: 1000 } } });
  await publishZone(relay.domain, relay.zone);
  evil = await publishStrangeDomain("evil.test");
  mallory = await newAccount(relay);
  victim = await newAccount(relay);
  bob = await newAccount(relay);
});
afterAll(async () => {
  await relay?.remove();
  await removeZone("_forged.test");
  await evil?.remove();
});

/** The last reply of our own user's submission. */
async function submitted(mail: { from: string; to: readonly string[]; data: string }): Promise<string> {
  const smtp = await SmtpClient.ready(relay.at(ports.submissions), mail.from, password);
  const { text } = await smtp.send(mail);
  await smtp.quit();
  return text;
}

/** The reply to a stranger at port 25, and the answer at `/mxdeliv`; they have to be the same. */
async function received({ from, to, data }: { from: string; to: readonly string[]; data: string }): Promise<string> {
  const smtp = await SmtpClient.ready(relay.at(ports.smtp));
  const { text } = await smtp.send({ from, to, data });
  await smtp.quit();
  const { body } = await postMail(relay, { from, to, body: data });
  expect(body.trim().slice(0, 3)).toBe(text.slice(0, 3));
  if (!text.startsWith("250")) expect(body.trim()).toBe(text);
  return text;
}

/** An encrypted mail with these lines instead of its From. */
const withFrom = (from: string, ...lines: readonly string[]) =>
  encryptedMessage({ from, to: [bob] }).replace(/^From: .*\r\n/m, lines.map((line) => `${line}\r\n`).join(""));

describe("who wrote it", () => {
  const forged: { what: string; from: (me: string) => readonly string[]; reply?: string }[] = [
    { what: "two From headers", from: (me) => [`From: ${me}`, `From: ${victim}`] },
    { what: "two From headers, the victim first", from: (me) => [`From: ${victim}`, `From: ${me}`] },
    { what: "two From headers of other cases", from: (me) => [`From: ${me}`, `fROM: ${victim}`] },
    { what: "From with a space before its colon", from: (me) => [`From: ${me}`, `From : ${victim}`] },
    { what: "a list", from: (me) => [`From: ${me}, ${victim}`] },
    { what: "a folded list", from: (me) => [`From: ${me},`, ` ${victim}`] },
    { what: "a group", from: (me) => [`From: us: ${me}, ${victim};`] },
    { what: "a name that is an address", from: (me) => [`From: "${victim}" <${me}>`] },
    {
      what: "an encoded name that is an address",
      from: (me) => [`From: =?utf-8?q?${victim.replace("@", "=40").replace("_", "=5F")}?= <${me}>`],
    },
    { what: "a comment that is an address", from: (me) => [`From: ${me} (${victim})`] },
    { what: "a quoted local part", from: (me) => [`From: "${me.split("@")[0]}"@${me.split("@")[1]}`] },
    { what: "a source route", from: (me) => [`From: <@x.test:${me}>`] },
    { what: "no From", from: () => [] },
    {
      what: "two Subjects",
      from: (me) => [`From: ${me}`, "Subject: x"],
      reply: "554 5.6.0 More than one subject header",
    },
    { what: "two To", from: (me) => [`From: ${me}`, "To: <x@y.test>"], reply: "554 5.6.0 More than one to header" },
    {
      what: "two Chat-Version",
      from: (me) => [`From: ${me}`, "Chat-Version: 1.0", "Chat-Version: 1.0"],
      reply: "554 5.6.0 More than one chat-version header",
    },
    {
      what: "two Secure-Join-Auth",
      from: (me) => [`From: ${me}`, "Secure-Join-Auth: a", "secure-join-auth: b"],
      reply: "554 5.6.0 More than one secure-join-auth header",
    },
  ];

  test.each(forged)("our user, $what", async ({ from, reply = badFrom }) => {
    expect(await submitted({ from: mallory, to: [bob], data: withFrom(mallory, ...from(mallory)) })).toBe(reply);
  });

  test.each(forged)("a stranger, signed: $what", async ({ what, from, reply = badFrom }) => {
    const me = "a@evil.test";
    const mail = withFrom(me, ...from(me));
    const data = what === "no From" ? mail : await evil.signed(mail);
    expect(await received({ from: me, to: [bob], data })).toBe(reply);
  });

  test("our user names somebody else as Sender", async () => {
    const data = withFrom(mallory, `From: ${mallory}`, `Sender: ${victim}`);
    expect(await submitted({ from: mallory, to: [bob], data })).toBe("554 5.6.0 Sender header names somebody else");
  });

  test.each([
    { what: "in brackets that hold no address", author: () => "a@[x]", reply: noSignature },
    { what: "at another server's address", author: () => "a@[192.0.2.1]", reply: noSignature },
    { what: "at the client's own address", author: () => `a@[${addresses.gateway}]`, reply: /^250 / },
    {
      what: "at the client's own address, mapped",
      author: () => `a@[IPv6:::ffff:${addresses.gateway}]`,
      reply: /^250 /,
    },
    { what: "of our own domain", author: () => victim, reply: noSignature },
  ])("an unsigned mail of an author $what", async ({ author, reply }) => {
    const from = author();
    // Postfix takes no such thing as envelope sender
    const sender = from.endsWith("[x]") ? "" : from;
    const text = await received({ from: sender, to: [bob], data: withFrom(from, `From: <${from}>`) });
    if (typeof reply === "string") expect(text).toBe(reply);
    else expect(text).toMatch(reply);
  });

  test("an unsigned mail in the name of a user of an address-only relay, from outside", async () => {
    const literal = await startRelayPod({});
    try {
      const user = `${randomName(9)}@[${literal.host}]`;
      const smtp = await SmtpClient.ready(literal.at(ports.smtp));
      const data = encryptedMessage({ from: user, to: [user] });
      expect(await smtp.send({ from: user, to: [user], data })).toMatchObject({ text: noSignature });
      await smtp.quit();
      expect((await postMail(literal, { from: user, to: [user], body: data })).body.trim()).toBe(noSignature);
    } finally {
      await literal.remove();
    }
  });
});

describe("for whom it is", () => {
  const spellings: { what: string; of: (local: string, domain: string) => string }[] = [
    { what: "quoted", of: (local, domain) => `"${local}"@${domain}` },
    { what: "quoted with an escape", of: (local, domain) => `"\\${local}"@${domain}` },
    { what: "without a domain", of: (local) => local },
    { what: "by a source route", of: (local, domain) => `@x.test:${local}@${domain}` },
    { what: "by the percent hack", of: (local, domain) => `${local}%${domain}@${domain}` },
    { what: "by a bang path", of: (local, domain) => `${domain}!${local}@${domain}` },
    { what: "by a bang path alone", of: (local, domain) => `${domain}!${local}` },
    { what: "with a dot at the end", of: (local, domain) => `${local}@${domain}.` },
    { what: "with a comment", of: (local, domain) => `${local}(x)@${domain}` },
  ];
  let disabled: string;
  beforeAll(async () => {
    disabled = await newAccount(relay);
    writeFileSync(`${relay.volume("mail")}/${relay.domain}/${disabled}/DISABLED`, "");
  });

  test.each(spellings)("a disabled address $what gets nothing", async ({ of }) => {
    const [local = "", domain = ""] = disabled.split("@");
    const to = [of(local, domain)];
    const ours = encryptedMessage({ from: mallory, to: [disabled] });
    expect(await submitted({ from: mallory, to, data: ours })).toMatch(/^(?:501|553|554) /);
    const from = "a@evil.test";
    const theirs = await evil.signed(encryptedMessage({ from, to: [disabled] }));
    const smtp = await SmtpClient.ready(relay.at(ports.smtp));
    expect((await smtp.send({ from, to, data: theirs })).text).toMatch(/^(?:501|553|554) /);
    await smtp.quit();
    expect((await postMail(relay, { from, to, body: theirs })).body).toMatch(/^(?:501|553|554) /);
  });

  test("in capitals and with a detail it is the same address", async () => {
    const [local = "", domain = ""] = disabled.split("@");
    for (const to of [disabled.toUpperCase(), `${local}+x@${domain}`]) {
      expect(await submitted({ from: mallory, to: [to], data: encryptedMessage({ from: mallory, to: [to] }) })).toMatch(
        /^250 /,
      );
    }
    const metrics = await (await fetch(`http://${relay.host}:${ports.health}/metrics`)).text();
    expect(metrics).toContain('filtermail_outbound_drop_total{reason="all_recipients_disabled"} 2');
  });
});

describe("what is clear text", () => {
  const from = "a@evil.test";
  const parts = (data: string) => data.split("\r\n\r\n");

  test.each([
    {
      what: "above the first part",
      edit: (data: string) => data.replace("\r\n\r\n", "\r\n\r\nhello\r\nBob\r\n"),
    },
    { what: "behind the last part", edit: (data: string) => `${data}hello Bob\r\n` },
  ])("text $what", async ({ edit }) => {
    const data = await evil.signed(edit(encryptedMessage({ from, to: [bob] })));
    expect(await received({ from, to: [bob], data })).toBe(encryptionNeeded);
    const ours = edit(encryptedMessage({ from: mallory, to: [bob] }));
    expect(await submitted({ from: mallory, to: [bob], data: ours })).toBe(encryptionNeeded);
  });

  test("an honest client's line above the first part", async () => {
    const line = "This is an OpenPGP/MIME encrypted message (RFC 4880 and 3156)";
    const edit = (data: string) => data.replace("\r\n\r\n", `\r\n\r\n${line}\r\n`);
    const data = await evil.signed(edit(encryptedMessage({ from, to: [bob] })));
    expect(await received({ from, to: [bob], data })).toMatch(/^250 /);
    const ours = edit(encryptedMessage({ from: mallory, to: [bob] }));
    expect(await submitted({ from: mallory, to: [bob], data: ours })).toMatch(/^250 /);
  });

  const report = (type: string, ...more: readonly string[]) =>
    [
      "From: mailer-daemon@evil.test",
      `To: ${bob}`,
      "Auto-Submitted: auto-replied",
      `Content-Type: multipart/report; ${type}boundary=b`,
      "",
      "--b",
      "Content-Type: text/plain",
      "",
      "Your mail could not be delivered.",
      ...more,
      "--b--",
      "",
    ].join("\r\n");
  const status = [
    "--b",
    "Content-Type: message/delivery-status",
    "",
    "Reporting-MTA: dns; evil.test",
    "",
    "Final-Recipient: rfc822; nobody@evil.test",
    "Action: failed",
    "Status: 5.1.1",
    "",
  ];
  const isOne = "report-type=delivery-status; ";

  test.each([
    { what: "is one", sender: "", mail: () => report(isOne, ...status), reply: /^250 / },
    { what: "has an envelope sender", sender: from, mail: () => report(isOne, ...status), reply: encryptionNeeded },
    {
      what: "is of another type",
      sender: "",
      mail: () => report("report-type=x; ", ...status),
      reply: encryptionNeeded,
    },
    { what: "has no status", sender: "", mail: () => report(isOne), reply: encryptionNeeded },
    {
      what: "has one more part",
      sender: "",
      mail: () => report(isOne, ...status, "--b", "Content-Type: text/plain", "", "hello"),
      reply: encryptionNeeded,
    },
    {
      what: "is larger than any",
      sender: "",
      mail: () =>
        report(isOne, ...status, "--b", "Content-Type: message/rfc822", "", `${"x".repeat(900)}\r\n`.repeat(1200)),
      reply: encryptionNeeded,
    },
  ])("a signed report that $what", async ({ sender, mail, reply }) => {
    const text = await received({ from: sender, to: [bob], data: await evil.signed(mail()) });
    if (typeof reply === "string") expect(text).toBe(reply);
    else expect(text).toMatch(reply);
  });

  test("a report that nobody signed", async () => {
    expect(await received({ from: "", to: [bob], data: report(isOne, ...status) })).toBe(noSignature);
    const noDomain = report("report-type=x; ", ...status).replace("@evil.test", "@[x]");
    expect(await received({ from: "", to: [bob], data: noDomain })).toBe(encryptionNeeded);
  });

  test("the first step of Secure-Join as text of one line, as cores up to 2.59 send it", async () => {
    const step = (author: string, body: string) =>
      `From: ${author}\r\nTo: ${bob}\r\nSecure-Join: vg-request\r\nSecure-Join-Invitenumber: x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n${body}`;
    const line = "Secure-Join: vg-request\r\n";
    expect(await submitted({ from: mallory, to: [bob], data: step(mallory, line) })).toMatch(/^250 /);
    expect(await received({ from, to: [bob], data: await evil.signed(step(from, line)) })).toMatch(/^250 /);
    expect(await submitted({ from: mallory, to: [bob], data: step(mallory, `${line}hello\r\n`) })).toBe(
      encryptionNeeded,
    );
    expect(await received({ from, to: [bob], data: await evil.signed(step(from, `${line}hello\r\n`)) })).toBe(
      encryptionNeeded,
    );
    expect(parts(step(from, line))).toHaveLength(2);
  });
});

test("a real Delta Chat shows the author who was judged", async () => {
  const core = await DeltaChatClient.start("Bob");
  try {
    await core.rpc.setConfig(core.account, "force_encryption", "0");
    const { body } = await askHttps(relay, { path: "/new", method: "POST" });
    await core.join((JSON.parse(body) as { dclogin_url: string }).dclogin_url);
    const me = await core.address();
    // it takes clear text, so that the core shows who wrote it
    rmSync(`${relay.volume("mail")}/${relay.domain}/${me}/enforceE2EEincoming`);
    const froms = [
      "one@evil.test",
      "<Two@Evil.Test>",
      '"Miller, \\"Bob\\" <x>" <three@evil.test>',
      "=?utf-8?q?M=C3=BCller=2C_=3Cx=3E?= <four@evil.test>",
      "Five\r\n\t<five@evil.test> (at home)",
      "six@evil.test (The Sixth)",
    ];
    for (const from of froms) {
      const mark = randomName(12);
      const mail = clearMessage({ from: "x@evil.test", to: [me], subject: mark });
      const data = await evil.signed(mail.replace(/^From: .*\r\n/m, `From: ${from}\r\n`).replace("anyone can", mark));
      const judged = /[a-z]+@evil\.test/i.exec(from)?.[0]?.toLowerCase() ?? "";
      const smtp = await SmtpClient.ready(relay.at(ports.smtp));
      expect(await smtp.send({ from: judged, to: [me], data })).toMatchObject({ code: 250 });
      await smtp.quit();
      const shown = await until(
        `the mail of ${from}`,
        async () => {
          const [id] = await core.rpc.searchMessages(core.account, mark, null);
          if (id === undefined) return undefined;
          const { fromId } = await core.rpc.getMessage(core.account, id);
          return (await core.rpc.getContact(core.account, fromId)).address;
        },
        { patienceMs: patienceMs.client, everyMs: 100 },
      );
      expect(shown).toBe(judged);
    }
  } finally {
    await core.stop();
  }
});
