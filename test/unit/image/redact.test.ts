/** What stands in the logs of Postfix, Dovecot, nginx and coturn after image/redact.sed: lines as they are, without who. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";

const script = join(import.meta.dirname, "../../../image/redact.sed");

function redacted(line: string): string {
  const env = { ...process.env, LC_ALL: "C" };
  return execFileSync("sed", ["--regexp-extended", `--file=${script}`], { input: `${line}\n`, encoding: "utf8", env });
}

test.each([
  {
    line: 'smtp[12]: 4fYx: to=<bob@x.test>, orig_to=<"a b"@x.test>, relay=mx.x.test[192.0.2.1]:25, delay=1.2, status=sent (250 2.0.0 <bob@x.test> Saved)',
    says: "smtp[12]: 4fYx: to=<address>, orig_to=<address>, relay=mx.x.test[<ip>]:25, delay=1.2, status=sent (250 2.0.0 <address> Saved)",
  },
  {
    line: "imap-login: Info: haproxy: Client not trusted (rip=192.0.2.7)",
    says: "imap-login: Info: haproxy: Client not trusted (rip=<ip>)",
  },
  { line: "qmgr[7]: 4fYx: from=<>, size=1, nrcpt=1", says: "qmgr[7]: 4fYx: from=<>, size=1, nrcpt=1" },
  {
    line: "smtpd[1]: 4fYx: client=unknown[2001:db8:1:2:3:4:5:6], sasl_method=PLAIN, sasl_username=a@[192.0.2.1]",
    says: "smtpd[1]: 4fYx: client=unknown[<ip>], sasl_method=PLAIN, sasl_username=<address>",
  },
  { line: "warning: unknown[2001:db8::7]: SASL PLAIN failed", says: "warning: unknown[<ip>]: SASL PLAIN failed" },
  {
    line: "smtpd[1]: disconnect from unknown[::ffff:192.0.2.1] ehlo=2 mail=1 commands=3",
    says: "smtpd[1]: disconnect from unknown[<ip>] ehlo=2 mail=1 commands=3",
  },
  {
    line: "lmtp(ann@chat.test)<12><aB3>: msgid=<x@localhost>: saved",
    says: "lmtp(<address>)<12><aB3>: msgid=<address>: saved",
  },
  { line: "imap(ümlaut@exämple.test): x", says: "imap(<address>): x" },
  {
    line: "reject: RCPT from unknown[192.0.2.1]: 554 <y@z.test>: denied; helo=<my-phone>",
    says: "reject: RCPT from unknown[<ip>]: 554 <address>: denied; helo=<name>",
  },
  {
    line: 'connect() failed, client: 192.0.2.1, server: , request: "GET / HTTP/2.0"',
    says: 'connect() failed, client: <ip>, server: , request: "GET / HTTP/2.0"',
  },
  { line: "Nov 23 05:28:03 Postfix 3.10.13 at 12:34:56", says: "Nov 23 05:28:03 Postfix 3.10.13 at 12:34:56" },
])("$line", ({ line, says }) => {
  expect(redacted(line)).toBe(`${says}\n`);
});

test.each([
  "smtpd[1]: connect from unknown[192.0.2.1]",
  "smtpd[1]: disconnect from unknown[::1] commands=0/0",
  "postfix/smtpd[58]: warning: haproxy read: EOF",
  "imap-login: Info: haproxy: Client disconnected (rip=192.0.2.7): Connection reset by peer",
  "smtpd[1]: lost connection after CONNECT from unknown[192.0.2.1]",
  "imap-login: Info: Login aborted: Connection closed (disconnected during TLS handshake) (tls_handshake_not_finished): x",
])("nothing is left of a mere connection: %s", (line) => {
  expect(redacted(line)).toBe("");
});

test.each([
  "14: : ERROR: check_stun_auth: Cannot find credentials of user <1795966209>",
  "31: : ERROR: A peer IP 10.96.0.10 denied in the range: 10.0.0.0-10.255.255.255",
  "35: : session 001000000000000003: usage: realm=<x.test>, username=<1795966209>, rp=2, rb=136, sp=2, sb=200",
])("nothing is left of who tries TURN: %s", (line) => {
  expect(redacted(line)).toBe("");
});
