/**
 * Mail in and out of one relay: what is accepted, what is refused and with which words, what
 * arrives, and what the logs say.
 */
import { execFileSync } from "node:child_process";
import { chownSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ports } from "../../src/mail/ports.ts";
import { loopback, programs, vmail } from "../../src/pod/layout.ts";
import { newAccount, password } from "../helpers/accounts.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { clearMessage, encryptedMessage, randomName } from "../helpers/messages.ts";
import { type RelayPod, startRelayPod } from "../helpers/relay-pod.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";
import { tcpSocketsOf } from "../helpers/tcp-sockets.ts";
import { patienceMs, until } from "../helpers/until.ts";
import { addresses } from "../lab/place.ts";

/** More than alice sends in all of these tests, however fast they are. */
const sendBurst = 30;

let pod: RelayPod;
let alice: string;
let bob: string;

beforeAll(async () => {
  pod = await startRelayPod({
    domain: "_mail.test",
    spec: { accounts: { mailboxQuota: "10Mi", sendBurst }, messages: { maxSize: "5Mi" } },
  });
  [alice, bob] = [await newAccount(pod), await newAccount(pod)];
});
afterAll(() => pod?.remove());

const submission = (port: number = ports.submissions) => SmtpClient.ready(pod.at(port), alice, password);
/** As another mail server comes. */
const server = () => SmtpClient.ready(pod.at(ports.smtp));

async function inbox(user: string): Promise<ImapClient> {
  const client = await ImapClient.ready(pod.at(ports.imaps), user, password);
  await client.say("SELECT INBOX");
  return client;
}

/** The one message whose text holds `mark`. */
async function received(user: string, mark: string): Promise<string> {
  const client = await inbox(user);
  const find = async () => {
    await client.say("NOOP");
    return (await client.messages()).find((text) => text.includes(mark));
  };
  const text = await until(`a message with ${mark}`, find, { patienceMs: patienceMs.mail });
  await client.logout();
  return text;
}

describe("handed in by our users", () => {
  test.each([ports.submissions, ports.submission])(
    "port %i: clear text is refused, encrypted text arrives",
    async (port) => {
      const smtp = await submission(port);
      const clear = await smtp.send({ from: alice, to: [bob], data: clearMessage({ from: alice, to: [bob] }) });
      expect(clear.text).toBe("523 Encryption Needed: Invalid Unencrypted Mail");
      const mark = randomName(12);
      const data = encryptedMessage({ from: alice, to: [bob], headers: { "Chat-Mark": mark } });
      expect(await smtp.send({ from: alice, to: [bob], data })).toMatchObject({ code: 250 });
      await smtp.quit();
      expect(await received(bob, mark)).toContain("-----BEGIN PGP MESSAGE-----");
    },
  );

  test("what tells of the sender's client is taken out, the subject replaced", async () => {
    const mark = randomName(12);
    const headers = {
      "Chat-Mark": mark,
      "User-Agent": "Secret/1.0",
      "X-Mailer": "Secret",
      "X-Originating-IP": "192.0.2.7",
      Received: "from secret by secret",
    };
    const smtp = await submission();
    const data = encryptedMessage({ from: alice, to: [bob], subject: "Secret plans", headers });
    expect(await smtp.send({ from: alice, to: [bob], data })).toMatchObject({ code: 250 });
    await smtp.quit();
    const text = await received(bob, mark);
    const head = text.slice(0, text.indexOf("\r\n\r\n"));
    expect(head).toContain("Subject: [...]");
    expect(head).not.toMatch(
      /secret|^received:|user-agent|x-mailer|x-originating|dkim-signature|authentication-results/im,
    );
    expect(head).not.toMatch(/\d+\.\d+\.\d+\.\d+/);
  });

  test("a foreign sender is refused at the recipient", async () => {
    const smtp = await submission();
    const reply = await smtp.send({ from: bob, to: [alice], data: "" });
    expect(reply.text).toMatch(/^553 5\.7\.1 .*not owned by user/);
    await smtp.quit();
  });

  test("a sender whose From differs is refused", async () => {
    const smtp = await submission();
    const reply = await smtp.send({ from: alice, to: [bob], data: encryptedMessage({ from: bob, to: [bob] }) });
    expect(reply.text).toMatch(/^500 Invalid FROM/);
    await smtp.quit();
  });

  test("too much at once is put off", async () => {
    const carol = await newAccount(pod);
    const smtp = await SmtpClient.ready(pod.at(ports.submissions), carol, password);
    const send = () => smtp.send({ from: carol, to: [bob], data: encryptedMessage({ from: carol, to: [bob] }) });
    let sent = 0;
    let reply = await send();
    // one more may go each second, so a busy machine lets a few more through
    while (reply.code === 250 && ++sent < 100) reply = await send();
    await smtp.quit();
    expect(sent).toBeGreaterThanOrEqual(sendBurst);
    expect(reply.text).toMatch(/^450 4\.7\.1: Too much mail from </);
  });

  test("a mail for nobody comes back as a bounce", async () => {
    const nobody = `${randomName(9)}@${pod.domain}`;
    const smtp = await submission();
    const data = encryptedMessage({ from: alice, to: [nobody] });
    expect(await smtp.send({ from: alice, to: [nobody], data })).toMatchObject({ code: 250 });
    await smtp.quit();
    const bounce = await received(alice, nobody);
    expect(bounce).toMatch(/MAILER-DAEMON@_mail\.test/i);
    expect(bounce).toMatch(/multipart\/report/);
    expect(bounce).toMatch(/Auto-Submitted: auto-replied/);
  });

  test("what follows a + in a name is left out at delivery", async () => {
    const mark = randomName(12);
    const to = [bob.replace("@", "+news@")];
    const smtp = await submission();
    const data = encryptedMessage({ from: alice, to, headers: { "Chat-Mark": mark } });
    expect(await smtp.send({ from: alice, to, data })).toMatchObject({ code: 250 });
    await smtp.quit();
    expect(await received(bob, mark)).toContain("-----BEGIN PGP MESSAGE-----");
  });

  test("bytes that are text in no encoding are answered, in a header and in a body", async () => {
    const smtp = await submission();
    const mark = randomName(12);
    const headers = { "Chat-Mark": mark, "Chat-Note": "\xff\xfe\xc3" };
    const data = encryptedMessage({ from: alice, to: [bob], headers });
    expect(await smtp.send({ from: alice, to: [bob], data: Buffer.from(data, "latin1") })).toMatchObject({ code: 250 });
    const clear = `${clearMessage({ from: alice, to: [bob] })}\xff\xfe\xc3\r\n`;
    const reply = await smtp.send({ from: alice, to: [bob], data: Buffer.from(clear, "latin1") });
    expect(reply.text).toBe("523 Encryption Needed: Invalid Unencrypted Mail");
    await smtp.quit();
    expect(await received(bob, mark)).toContain("-----BEGIN PGP MESSAGE-----");
  });

  test("a disabled address neither sends nor receives, and nobody is told", async () => {
    const carol = await newAccount(pod);
    writeFileSync(`${pod.volume("mail")}/${pod.domain}/${carol}/DISABLED`, "");
    const [sent, shared] = [randomName(12), randomName(12)];
    const send = async (from: string, to: string[], mark: string) => {
      const smtp = await SmtpClient.ready(pod.at(ports.submissions), from, password);
      const data = encryptedMessage({ from, to, headers: { "Chat-Mark": mark } });
      expect(await smtp.send({ from, to, data })).toMatchObject({ code: 250 });
      await smtp.quit();
    };
    await send(carol, [bob], sent);
    // one delivery for both: what there is for carol is there before it is bob's turn
    await send(await newAccount(pod), [carol, bob], shared);
    await received(bob, shared);
    const messages = [...(await (await inbox(bob)).messages()), ...(await (await inbox(carol)).messages())];
    expect(messages.filter((text) => text.includes(sent))).toEqual([]);
    expect(messages.filter((text) => text.includes(shared))).toHaveLength(1);
    await until("the log to say so", async () => /milter-discard: END-OF-MESSAGE/.test(await pod.logs("postfix")));
  });

  test("a client may call itself what it likes, as long as it is a name", async () => {
    const carol = await newAccount(pod);
    const smtp = await SmtpClient.ready(pod.at(ports.submissions), carol, password);
    const replyTo = async (name: string) => {
      expect(await smtp.say(`EHLO ${name}`)).toMatchObject({ code: 250 });
      expect(await smtp.say(`MAIL FROM:<${carol}>`)).toMatchObject({ code: 250 });
      const { text } = await smtp.say(`RCPT TO:<${bob}>`);
      await smtp.say("RSET");
      return text;
    };
    for (const name of ["localhost", "phone", "[127.0.0.1]", "[IPv6:::1]"])
      expect(await replyTo(name)).toMatch(/^250 /);
    expect(await replyTo("-phone-")).toMatch(/^501 5\.5\.2 .*Helo command rejected: Invalid name/);
    await smtp.quit();
  });

  test("a mail has a thousand recipients at most, which is what clients are told", async () => {
    const carol = await newAccount(pod);
    const smtp = await SmtpClient.ready(pod.at(ports.submissions), carol, password);
    expect(await smtp.say(`MAIL FROM:<${carol}>`)).toMatchObject({ code: 250 });
    const codes = new Set<number>();
    for (let nth = 0; nth < 1000; nth++) codes.add((await smtp.say(`RCPT TO:<someone${nth}@${pod.domain}>`)).code);
    expect([...codes]).toEqual([250]);
    expect((await smtp.say(`RCPT TO:<${bob}>`)).text).toMatch(/^452 4\.5\.3 /);
    await smtp.quit();
  });
});

describe("from other servers", () => {
  test("TLS first, no login", async () => {
    const smtp = await SmtpClient.open(pod.at(ports.smtp));
    expect(smtp.offers).not.toContain("AUTH");
    expect(await smtp.say("MAIL FROM:<x@elsewhere.test>")).toMatchObject({ code: 530 });
    await smtp.startTls();
    expect(smtp.offers).not.toContain("AUTH");
    await smtp.quit();
  });

  test("no mail goes through to others", async () => {
    const smtp = await server();
    for (const from of ["x@elsewhere.test", alice, ""]) {
      const reply = await smtp.send({ from, to: ["y@somewhere.test"], data: "" });
      expect(reply.text).toMatch(/^554 5\.7\.1 .*Relay access denied/);
    }
    const tricks = ["y%somewhere.test@_mail.test", "@_mail.test:y@somewhere.test", "y@somewhere.test@_mail.test"];
    for (const to of tricks) {
      const reply = await smtp.send({ from: "x@elsewhere.test", to: [to], data: "" });
      expect(reply.code, `${to}: ${reply.text}`).toBeGreaterThanOrEqual(500);
    }
    await smtp.quit();
  });

  test("nothing of a mail is rewritten, but an envelope sender that is not its author", async () => {
    const mark = randomName(12);
    const headers = { "Chat-Mark": mark, "User-Agent": "Other/1.0", "X-Mailer": "Other", Received: "from a by b" };
    const data = encryptedMessage({ from: `x@[${addresses.gateway}]`, to: [bob], subject: "Their words", headers });
    const smtp = await server();
    expect(await smtp.send({ from: "forwarder@elsewhere.test", to: [bob], data })).toMatchObject({ code: 250 });
    await smtp.quit();
    const text = await received(bob, mark);
    const head = text.slice(0, text.indexOf("\r\n\r\n"));
    for (const line of ["Subject: Their words", "User-Agent: Other/1.0", "X-Mailer: Other", "Return-Path: <>"]) {
      expect(head.split("\r\n")).toContain(line);
    }
    expect(head).not.toMatch(/^(received|dkim-signature|authentication-results):/im);
  });

  test("clear text is refused word for word", async () => {
    const smtp = await server();
    const from = "x@elsewhere.test";
    for (const to of [bob, bob.replace("@", "+news@")]) {
      const reply = await smtp.send({ from, to: [to], data: clearMessage({ from, to: [to] }) });
      expect(reply.text).toBe("523 Encryption Needed: Invalid Unencrypted Mail");
    }
    await smtp.quit();
  });
});

describe.each([
  { who: "our users", open: submission },
  { who: "other servers", open: server },
])("what $who may ask", ({ open }) => {
  test("VRFY, EXPN and ETRN are not offered, and say nothing of who is here", async () => {
    const smtp = await open();
    expect(smtp.offers).toContain("SIZE");
    expect(smtp.offers).not.toMatch(/VRFY|EXPN|ETRN/i);
    const answers = async (command: string) => (await smtp.say(command)).text;
    for (const name of [alice, `${randomName(9)}@${pod.domain}`]) {
      expect(await answers(`VRFY ${name}`)).toMatch(/^252 2\.0\.0 /);
      expect(await answers(`EXPN ${name}`)).toMatch(/^50[02] /);
    }
    expect(await answers(`ETRN ${pod.domain}`)).toMatch(/^(50[02]|554) /);
    await smtp.quit();
  });

  test("the largest size is told, and what is larger is refused before it is sent", async () => {
    const smtp = await open();
    const most = 5 * 2 ** 20;
    expect(smtp.offers).toContain(`SIZE ${most}`);
    expect(await smtp.say(`MAIL FROM:<${alice}> SIZE=${most}`)).toMatchObject({ code: 250 });
    await smtp.say("RSET");
    expect((await smtp.say(`MAIL FROM:<${alice}> SIZE=${most + 1}`)).text).toMatch(/^552 5\.3\.4 /);
    await smtp.quit();
  });
});

/**
 * Libraries of ours that take delays away; without them all is right, and slow. `npm run bench --
 * mail` measures what they are for.
 */
describe("no delay of their own", () => {
  /** Postfix's. */
  const listened: number[] = [ports.smtp, ports.submission, loopback.submissions, loopback.received];
  const shell = (name: "dovecot" | "postfix", script: string) => pod.exec(name, "sh", "-c", script);

  test("Dovecot's half second before it says EXISTS in IDLE: the functions that are replaced are still the ones that it calls", async () => {
    const client = await inbox(await newAccount(pod));
    await client.idle();
    expect(await shell("dovecot", `grep -l ${programs.noDelay} /proc/[0-9]*/maps | wc -l`)).not.toBe("0");
    const library = "/usr/lib/dovecot/libdovecot-storage.so.0";
    for (const file of ["mailbox-watch.c", "mailbox-list-index-notify.c"])
      await shell("dovecot", `grep -q ${file} ${library}`);
    const bound = await shell(
      "dovecot",
      `LD_BIND_NOW=1 LD_DEBUG=bindings LD_PRELOAD=${programs.noDelay} /usr/lib/dovecot/imap --version 2>&1 | grep "timeout_add_short'"`,
    );
    expect(bound).toMatch(new RegExp(`${library}.* to ${programs.noDelay} `));
    client.destroy();
  });

  test("Nagle's algorithm at Postfix's listeners: connections through them have TCP_NODELAY", async () => {
    const smtp = await server();
    const sockets = await tcpSocketsOf(await pod.processNumbers("postfix"));
    const inbound = sockets.filter(({ port }) => listened.includes(port));
    expect([...new Set(inbound.flatMap(({ port, peer }) => (peer === undefined ? [port] : [])))]).toHaveLength(4);
    expect(inbound.some(({ port, peer }) => port === ports.smtp && peer !== undefined)).toBe(true);
    expect(inbound.filter(({ noDelay }) => !noDelay)).toEqual([]);
    // it is the library that does it: nginx lacks it, and its listeners are as the kernel makes
    // them
    const ofNginx = (await tcpSocketsOf(await pod.processNumbers("web"))).filter(({ peer }) => peer === undefined);
    expect(ofNginx.map(({ noDelay }) => noDelay)).toContain(false);
    await smtp.quit();
  });
});

describe("in the mailbox", () => {
  const homeOf = (user: string) => join(pod.volume("mail"), pod.domain, user);
  const filesOf = (user: string) =>
    ["cur", "new"].flatMap((folder) => readdirSync(join(homeOf(user), folder)).map((name) => `${folder}/${name}`));

  async function sendToSelf(user: string, size: number): Promise<void> {
    const smtp = await SmtpClient.ready(pod.at(ports.submissions), user, password);
    const data = encryptedMessage({ from: user, to: [user], size });
    expect(await smtp.send({ from: user, to: [user], data })).toMatchObject({ code: 250 });
    await smtp.quit();
  }

  /** A mail of 2.3 MB that came so long ago, into a mailbox that a client has opened. */
  function putMail(user: string, hoursAgo: number): string {
    const name = `${Math.floor(Date.now() / 1000) - hoursAgo * 3600}.M1P1.host,S=2300000:2,S`;
    const path = join(homeOf(user), "cur", name);
    writeFileSync(path, `Subject: old\r\n\r\n${"x".repeat(2_299_982)}\r\n`);
    chownSync(path, vmail.uid, vmail.gid);
    return `cur/${name}`;
  }

  test("a mail lies compressed, and its name has the size that counts", async () => {
    const frank = await newAccount(pod);
    await sendToSelf(frank, 50_000);
    const [file = ""] = await until("the mail", () => filesOf(frank).length > 0 && filesOf(frank), {
      patienceMs: patienceMs.mail,
    });
    const stored = readFileSync(join(homeOf(frank), file));
    const size = Number(/,S=(\d+)/.exec(file)?.[1]);
    expect(stored.subarray(0, 2)).toEqual(Buffer.from([0x1f, 0x8b]));
    expect(stored.length).toBeLessThan(size);
    expect(gunzipSync(stored)).toHaveLength(size);
  });

  test("a mail is stored alike, delivered at once or through the queue", async () => {
    const [henry, iris] = [await newAccount(pod), await newAccount(pod)];
    const smtp = await submission();
    const headers = { "X-Long": `${"words ".repeat(20)}\r\n\t folded`, Received: "from x by y", "User-Agent": "x" };
    const data = encryptedMessage({ from: alice, to: [bob], headers });
    // a mail whose sender wants a report of its delivery goes through the queue
    for (const [to, notify] of [
      [henry, ""],
      [iris, " NOTIFY=SUCCESS"],
    ] as const) {
      for (const line of [`MAIL FROM:<${alice}>`, `RCPT TO:<${to}>${notify}`, "DATA"])
        expect((await smtp.say(line)).code).toBeLessThan(400);
      expect(await smtp.finish(data)).toMatchObject({ code: 250 });
    }
    await smtp.quit();
    // the reply comes when it is there
    expect(filesOf(henry)).toHaveLength(1);
    await until("the other", () => filesOf(iris).length === 1, { patienceMs: patienceMs.mail });
    const [atOnce = "", queued = ""] = [henry, iris].map((user) => {
      const stored = gunzipSync(readFileSync(join(homeOf(user), filesOf(user)[0] ?? ""))).toString("latin1");
      return stored.replaceAll(user, "RECIPIENT");
    });
    expect(atOnce).toMatch(/words *\r?\n\t folded\r?\n/);
    expect(atOnce).toBe(queued);
  });

  test("a mail that does not fit comes back, and those before it stay", async () => {
    const jane = await newAccount(pod);
    await (await inbox(jane)).logout();
    const before = [1, 2, 3, 4].map((hours) => putMail(jane, hours));
    await sendToSelf(jane, 750_000);
    await sendToSelf(jane, 750_000);
    await received(jane, "Undelivered Mail Returned to Sender");
    const sent = filesOf(jane).filter((name) => !before.includes(name) && Number(/,S=(\d+)/.exec(name)?.[1]) > 750_000);
    expect(sent).toHaveLength(1);
    // the look at an inbox moves what is new there
    expect(filesOf(jane).length).toBe(before.length + 2);
  });

  test("expiry deletes old mail of a domain that the relay served before, and says so without a name", async () => {
    const folder = join(pod.volume("mail"), "old.example", "kim@old.example", "cur");
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "../password"), "");
    const seconds = Math.floor(Date.now() / 1000);
    const put = (daysAgo: number) => {
      const time = seconds - daysAgo * 86_400;
      const name = `${time}.M1P1.host,S=100:2,S`;
      writeFileSync(join(folder, name), `Subject: old\r\n\r\n${"x".repeat(84)}\r\n`);
      utimesSync(join(folder, name), time, time);
      return name;
    };
    const [young] = [put(1), put(21), put(400)];
    execFileSync("chown", ["-R", `${vmail.uid}:${vmail.gid}`, join(pod.volume("mail"), "old.example")]);
    const said = await pod.exec("relay", programs.node, programs.expire);
    expect(JSON.parse(said)).toMatchObject({ domains: 2, messagesRemoved: 2 });
    expect(said).not.toContain("kim");
    expect(readdirSync(folder)).toEqual([young]);
  });

  test("from three quarters of the quota on the oldest mails go, and none of today", async () => {
    const grace = await newAccount(pod);
    await (await inbox(grace)).logout();
    const [today, oldest, old] = [putMail(grace, 20), putMail(grace, 72), putMail(grace, 48)];
    const seen = await inbox(grace);
    const quota = (await seen.say("GETQUOTAROOT INBOX")).untagged.join();
    expect(Number(/STORAGE (\d+)/.exec(quota)?.[1])).toBeGreaterThan(6_700);
    await sendToSelf(grace, 900_000);
    await until("the oldest to go", () => !filesOf(grace).includes(oldest), { patienceMs: patienceMs.mail });
    await seen.logout();
    expect(filesOf(grace)).toHaveLength(3);
    expect(filesOf(grace)).toEqual(expect.arrayContaining([today, old]));
    const told = async () => (await pod.logs("relay")).includes('"removed":1,"msg":"quota-expire: removed messages"');
    await until("the log to say so", told);
  });
});

/** Spellings of an address that Postfix repeats in replies and warnings. */
const spellings = (name: string) => [
  `<"${name} x"@x.test>`,
  `<"${name}"@x.test>`,
  `<${name}(comment)@x.test>`,
  `<${name} @ x.test>`,
  `<${name} at x.test>`,
  `<${name}%x.test@x.test>`,
  `<@x.test:${name}@x.test>`,
  `<bounce+${name}=x.test@x.test>`,
  `<${name}%40x.test>`,
  `<${name}@x@y>`,
  `<${name}@[192.0.2.1>`,
  `${name} x.test`,
  `<"${name}>x"@x.test>`,
];

test("the logs name nobody who spells an address strangely, nor what is no command", async () => {
  const name = `hidden${randomName(6)}`;
  for (const open of [submission, server]) {
    for (const spelling of spellings(name)) {
      const smtp = await open();
      await smtp.say(`MAIL FROM:${spelling}`);
      await smtp.say("RSET");
      await smtp.say(`MAIL FROM:<${open === submission ? alice : "a@elsewhere.test"}>`);
      await smtp.say(`RCPT TO:${spelling}`);
      await smtp.say(`VRFY ${spelling}`);
      await smtp.say(`To: ${spelling}`);
      await smtp.quit().catch(() => {});
    }
  }
  const answer = await fetch(`http://${pod.host}/${name}%40x.test`, { redirect: "manual" });
  expect(answer.status).toBe(301);
  await until("Postfix to have logged the last", async () => /Illegal address|denied/.test(await pod.logs("postfix")));
  expect((await pod.logs()).match(new RegExp(`.*${name}.*`, "g")) ?? []).toEqual([]);
});

test("the logs name nobody", async () => {
  const logs = await pod.logs();
  expect(logs).toMatch(/status=sent/);
  expect(logs).toMatch(/Logged in/);
  const own = execFileSync("hostname", ["-I"], { encoding: "utf8" }).trim().split(/\s+/);
  for (const secret of [
    alice,
    bob,
    alice.split("@")[0] ?? "",
    bob.split("@")[0] ?? "",
    pod.host,
    ...own,
    "elsewhere.test>",
  ]) {
    expect(logs).not.toContain(secret);
  }
  expect(logs.match(/\S*[^\s<]@[a-z_[]\S*/g) ?? []).toEqual([]);
});
