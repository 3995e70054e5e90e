/**
 * The SASL dialogue (RFC 4954, RFC 9051 §6.2.2): real clients log in, with and without an initial
 * response, and wrong dialogues end as the RFCs say.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { messageOf } from "../../src/lib/text.ts";
import { ports } from "../../src/mail/ports.ts";
import { newAccount, password } from "../helpers/accounts.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { LineSocket } from "../helpers/line-socket.ts";
import { encryptedMessage } from "../helpers/messages.ts";
import { type RelayPod, startRelayPod } from "../helpers/relay-pod.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";
import { mailClientPackages } from "../helpers/suite-packages.ts";
import { until } from "../helpers/until.ts";
import { needPackages } from "../lab/packages.ts";
import { tryRun } from "../lab/run.ts";

const missing = await needPackages(mailClientPackages).then(() => undefined, messageOf);
if (missing !== undefined && process.env.REQUIRE_ALL === "1") throw new Error(missing);
if (missing !== undefined) console.warn(`SKIPPED: logins of real mail clients. ${missing}`);

let pod: RelayPod;
let user: string;
let folder: string;
beforeAll(async () => {
  pod = await startRelayPod({ domain: "_sasl.test" });
  folder = mkdtempSync(join(tmpdir(), "sasl-"));
});
afterAll(async () => {
  await pod?.remove();
  if (folder) rmSync(folder, { recursive: true, force: true });
});
// an account of its own for each: after three wrong passwords a client that has failed often has to
// wait
beforeEach(async () => {
  user = await newAccount(pod);
});

const base64 = (text: string | Buffer) => Buffer.from(text).toString("base64");
const plain = (secret = password, of = user, actAs = "") => base64(`${actAs}\0${of}\0${secret}`);
const wrong = "not the password";

interface Job {
  host: string;
  user: string;
  secret: string;
  mail: string;
}

/**
 * An argument vector that ends with 0 after a login and, for submission, a mail that was accepted;
 * not 0 otherwise.
 */
type Command = (job: Job) => { argv: readonly string[]; input?: string };

const curl = (scheme: string, ...options: string[]): Command => {
  const isSmtp = scheme.startsWith("smtp");
  return ({ host, user, secret, mail }) => {
    const address = scheme === "smtp" ? `${host}:587` : host;
    const job = isSmtp ? ["--mail-from", user, "--mail-rcpt", user, "--upload-file", mail] : ["--request", "NOOP"];
    const login = ["--user", `${user}:${secret}`, "--login-options", "AUTH=PLAIN"];
    const argv = ["curl", "--silent", "--show-error", "--insecure", "--ssl-reqd", "--max-time", "30"];
    return { argv: [...argv, ...options, ...login, ...job, `${scheme}://${address}`] };
  };
};

const python = (script: string): Command => {
  const start =
    "import imaplib, smtplib, ssl, sys\nhost, user, secret, mail = sys.argv[1:]\nopen_tls = ssl._create_unverified_context()\n";
  return ({ host, user, secret, mail }) => ({
    argv: ["/usr/bin/python3", "-", host, user, secret, mail],
    input: start + script,
  });
};

const pythonSmtp = (initialResponse: "True" | "False") =>
  python(`
smtp = smtplib.SMTP_SSL(host, 465, context=open_tls, timeout=30)
smtp.ehlo("client.test")
smtp.user, smtp.password = user, secret
smtp.auth("PLAIN", smtp.auth_plain, initial_response_ok=${initialResponse})
smtp.sendmail(user, [user], open(mail, "rb").read())
smtp.quit()
`);

const clients: Record<string, Command> = {
  "curl, SMTP": curl("smtps"),
  "curl, SMTP, with --sasl-ir": curl("smtps", "--sasl-ir"),
  "curl, STARTTLS": curl("smtp"),
  "curl, IMAP": curl("imaps"),
  "curl, IMAP, with --sasl-ir": curl("imaps", "--sasl-ir"),
  swaks: ({ host, user, secret, mail }) => ({
    argv: [
      ...["swaks", "--server", host, "--tls-on-connect", "--port", "465", "--auth", "PLAIN", "--timeout", "30s"],
      ...["--ehlo", "client.test", "--from", user, "--to", user, "--auth-user", user, "--auth-password", secret],
      ...["--data", `@${mail}`],
    ],
  }),
  msmtp: ({ host, user, secret, mail }) => ({
    argv: [
      ...["sh", "-c", 'mail=$1; shift; exec msmtp "$@" < "$mail"', "sh", mail, "--host", host, "--port", "465"],
      ...[
        "--tls=on",
        "--tls-starttls=off",
        "--tls-certcheck=off",
        "--auth=plain",
        "--domain=client.test",
        "--timeout=30",
      ],
      ...["--user", user, "--from", user, "--passwordeval", `echo '${secret}'`, user],
    ],
  }),
  "Python smtplib": pythonSmtp("False"),
  "Python smtplib, with an initial response": pythonSmtp("True"),
  "Python smtplib, login()": python(`
smtp = smtplib.SMTP_SSL(host, 465, context=open_tls, timeout=30)
smtp.login(user, secret)
smtp.sendmail(user, [user], open(mail, "rb").read())
smtp.quit()
`),
  "Python imaplib, LOGIN": python(`
imap = imaplib.IMAP4_SSL(host, ssl_context=open_tls, timeout=30)
imap.login(user, secret)
imap.select()
imap.logout()
`),
  "Python imaplib, AUTHENTICATE": python(`
imap = imaplib.IMAP4_SSL(host, ssl_context=open_tls, timeout=30)
imap.authenticate("PLAIN", lambda challenge: ("\\0" + user + "\\0" + secret).encode())
imap.select()
imap.logout()
`),
};

describe.skipIf(missing !== undefined)("real clients", () => {
  test.each(Object.entries(clients))("%s: the right password is accepted, a wrong one is not", async (_, command) => {
    const run = (secret: string) => {
      const { argv, input } = command({ host: pod.host, user, secret, mail: join(folder, "mail.eml") });
      return tryRun([...argv], { ...(input !== undefined && { input }) });
    };
    user = await newAccount(pod);
    writeFileSync(join(folder, "mail.eml"), encryptedMessage({ from: user, to: [user] }));
    const right = await run(password);
    expect(right.code, right.stdout + right.stderr).toBe(0);
    expect((await run(wrong)).code).not.toBe(0);
  });

  test("openssl s_client, by hand", async () => {
    const openssl = spawn("openssl", ["s_client", "-quiet", "-crlf", "-connect", `${pod.host}:465`]);
    try {
      let shown = "";
      openssl.stdout.on("data", (chunk: Buffer) => {
        shown += chunk.toString();
      });
      const steps: [string, RegExp][] = [
        ["", /^220 /m],
        ["EHLO client.test", /^250 [A-Z]/m],
        ["AUTH PLAIN", /^334 \r?$/m],
        [plain(), /^235 2\.7\.0 /m],
        ["quit", /^221 2\.0\.0 /m],
      ];
      for (const [line, reply] of steps) {
        shown = "";
        if (line !== "") openssl.stdin.write(`${line}\n`);
        await until(`${reply}`, () => reply.test(shown));
      }
    } finally {
      openssl.kill();
    }
  });
});

describe.each([ports.submissions, ports.submission, ports.https])("submission through %i", (port) => {
  let smtp: SmtpClient;
  beforeEach(async () => {
    smtp = await SmtpClient.ready(pod.at(port));
  });
  afterEach(() => smtp.destroy());

  test("AUTH PLAIN is answered 334 with nothing to read, and its response decides", async () => {
    expect((await smtp.say("AUTH PLAIN")).text).toBe("334 ");
    expect(await smtp.say(plain(wrong))).toMatchObject({ code: 535, text: expect.stringContaining("5.7.8") });
    expect((await smtp.say("auth plain")).text).toBe("334 ");
    expect(await smtp.say(plain())).toMatchObject({ code: 235 });
    expect(await smtp.say(`AUTH PLAIN ${plain()}`)).toMatchObject({ code: 503 });
    expect(await smtp.say("AUTH PLAIN")).toMatchObject({ code: 503 });
  });

  test("* cancels, and the next attempt counts", async () => {
    for (let time = 0; time < 3; time++) {
      expect((await smtp.say("AUTH PLAIN")).text).toBe("334 ");
      expect(await smtp.say("*")).toMatchObject({ code: 501 });
    }
    expect((await smtp.say("AUTH PLAIN")).text).toBe("334 ");
    expect(await smtp.say(plain())).toMatchObject({ code: 235 });
  });
});

describe("submission", () => {
  let smtp: SmtpClient;
  beforeEach(async () => {
    smtp = await SmtpClient.ready(pod.at(ports.submissions));
  });
  afterEach(() => smtp.destroy());

  /** Afterwards the same connection still logs in: nothing is out of step. */
  const stillLogsIn = async () => expect(await smtp.say(`AUTH PLAIN ${plain()}`)).toMatchObject({ code: 235 });

  /** The response as a function: the user is not there yet when tests are collected. */
  const responses: { what: string; response: () => string; code?: number[] }[] = [
    { what: "empty", response: () => "" },
    { what: "=, an empty one", response: () => "=" },
    { what: "no base64", response: () => "!!!!" },
    { what: "base64 without its end", response: () => plain().replace(/=*$/, "").slice(0, -1) },
    { what: "without NUL", response: () => base64(`${user} ${password}`) },
    { what: "with one NUL", response: () => base64(`${user}\0${password}`) },
    { what: "with a NUL after the password", response: () => base64(`\0${user}\0${password}\0`) },
    { what: "with a NUL in the user", response: () => base64(`\0${user}\0x\0${password}`) },
    { what: "without a user", response: () => base64(`\0\0${password}`) },
    { what: "without a password", response: () => base64(`\0${user}\0`) },
    { what: "for somebody else", response: () => plain(password, user, `someone@${pod.domain}`) },
    {
      what: "with a line end in the user",
      response: () => base64(`\0${user}\nOK\t1\tuser=x\0${password}`),
    },
    { what: "of 1,500 bytes", response: () => base64(`\0${user}\0${"x".repeat(1100)}`) },
    { what: "of 12,000 bytes", response: () => base64(`\0${user}\0${"x".repeat(8900)}`), code: [500, 501, 535] },
  ];
  test.each(responses)("a response $what is refused for good", async ({ response: make, code = [501, 535] }) => {
    const response = make();
    expect((await smtp.say("AUTH PLAIN")).text).toBe("334 ");
    expect(code).toContain((await smtp.say(response)).code);
    // Postfix splits command lines of more than 2,048 bytes
    if (response !== "" && response.length < 2000) {
      expect(code, "as initial response").toContain((await smtp.say(`AUTH PLAIN ${response}`)).code);
    }
    await stillLogsIn();
  });

  test("a response of 100,000 bytes is refused, and harms no other connection", async () => {
    const other = await SmtpClient.ready(pod.at(ports.submissions));
    await smtp.say("AUTH PLAIN");
    // what is over the limit counts as commands; after 20 of these Postfix closes, and where the
    // client still sends, the reply may be lost with the connection
    const refused = await smtp.say(base64("x".repeat(75_000))).catch(String);
    if (typeof refused === "string") expect(refused).toMatch(/closed|ECONNRESET|EPIPE/);
    else expect([500, 501, 535]).toContain(refused.code);
    smtp.destroy();
    smtp = other;
    await stillLogsIn();
    smtp.destroy();
    smtp = await SmtpClient.ready(pod.at(ports.submissions));
    await stillLogsIn();
  });

  test("a response may name its user as the one to act as", async () => {
    expect(await smtp.say(`AUTH PLAIN ${plain(password, user, user)}`)).toMatchObject({ code: 235 });
  });

  test.each(["LOGIN", "CRAM-MD5", "XOAUTH2", "EXTERNAL", "ANONYMOUS", "NONSENSE"])(
    "%s is not offered",
    async (mechanism) => {
      expect(smtp.offers).toContain("AUTH PLAIN");
      expect(smtp.offers).not.toContain(mechanism);
      expect([504, 535]).toContain((await smtp.say(`AUTH ${mechanism}`)).code);
      await stillLogsIn();
    },
  );

  test("AUTH without a mechanism is a syntax error", async () => {
    expect(await smtp.say("AUTH")).toMatchObject({ code: 501 });
    await stillLogsIn();
  });

  test("a client that leaves in the middle is in nobody's way", async () => {
    for (let time = 0; time < 5; time++) {
      const leaving = await SmtpClient.ready(pod.at(ports.submissions));
      await leaving.say("AUTH PLAIN");
      leaving.destroy();
    }
    expect((await smtp.say("AUTH PLAIN")).text).toBe("334 ");
    expect(await smtp.say(plain())).toMatchObject({ code: 235 });
  });
});

describe("IMAP", () => {
  /** A connection, greeted, whose lines are shown one by one. */
  async function open() {
    const socket = await LineSocket.open(pod.at(ports.imaps), {});
    await socket.line();
    return socket;
  }

  /** The answer that carries the tag a. */
  async function tagged(socket: LineSocket): Promise<string> {
    for (;;) {
      const line = await socket.line();
      if (line.startsWith("a ")) return line;
    }
  }

  test.each([
    { what: "without an initial response", say: () => ["a AUTHENTICATE PLAIN", plain()], answer: /^a OK/ },
    { what: "with one", say: () => [`a AUTHENTICATE PLAIN ${plain()}`], answer: /^a OK/ },
    {
      what: "with a wrong one",
      say: () => [`a AUTHENTICATE PLAIN ${plain(wrong)}`],
      answer: /^a NO \[AUTHENTICATIONFAILED\]/,
    },
    { what: "cancelled", say: () => ["a AUTHENTICATE PLAIN", "*"], answer: /^a BAD/ },
    { what: "with an empty response", say: () => ["a AUTHENTICATE PLAIN", ""], answer: /^a (NO|BAD)/ },
    { what: "with =", say: () => ["a AUTHENTICATE PLAIN ="], answer: /^a (NO|BAD)/ },
    { what: "with no base64", say: () => ["a AUTHENTICATE PLAIN", "!!!!"], answer: /^a (NO|BAD)/ },
    {
      what: "for somebody else",
      say: () => [`a AUTHENTICATE PLAIN ${plain(password, user, `other@${pod.domain}`)}`],
      answer: /^a NO/,
    },
    { what: "by LOGIN", say: () => ["a AUTHENTICATE LOGIN"], answer: /^a NO/ },
  ])("AUTHENTICATE $what", async ({ say, answer }) => {
    const socket = await open();
    try {
      const [command = "", response] = say();
      socket.write(`${command}\r\n`);
      if (response !== undefined) {
        expect(await socket.line()).toMatch(/^\+ ?$/);
        socket.write(`${response}\r\n`);
      }
      expect(await tagged(socket)).toMatch(answer);
    } finally {
      socket.destroy();
    }
  });

  test("LOGIN, as strings and as literals", async () => {
    const client = await ImapClient.ready(pod.at(ports.imaps), user, password);
    await client.logout();
    const socket = await open();
    socket.write(`a LOGIN {${user.length}+}\r\n${user} {${password.length}+}\r\n${password}\r\n`);
    expect(await tagged(socket)).toMatch(/^a OK/);
    socket.destroy();
  });
});
