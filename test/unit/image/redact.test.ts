/**
 * What stands in the logs of Postfix, Dovecot, nginx and coturn after image/redact.sed: lines as
 * they are, without who.
 */
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

/** What a person may be called in a log line, each with "alice" or "doe" in it. */
test.each([
  '554 5.7.1 <"john doe"@x.org>: Relay access denied',
  '550 5.1.1 <"doe"@nine.test> User doesn\'t exist: doe@nine.test',
  'from=<"a>doe"@x.org>, size=1',
  '"john \\"the\\" doe"@x.org',
  '"john doe" @ x.org',
  '"doe"(comment)@x.org',
  "reject: alice @ nine.test: denied",
  "reject: alice@ nine.test",
  "reject: alice @nine.test",
  "alice(comment)@x.org",
  "alice (her (old) one)@x.org",
  "alice (comment) @ (other) x.org",
  "alice@(comment)x.org",
  "<alice(comment)@x.org>",
  'Invalid FROM header: "Miller" <alice1234 at nine.test>',
  "reject: <alice at x.org>",
  'request: "GET /new?a=alice%40x.org&b=1 HTTP/1.1"',
  'request: "GET /alice%40x.org HTTP/2.0"',
  "<alice%40x.org>",
  "alice%40x.org",
  "554 5.7.1 <@x.test:alice@nine.test>: denied",
  "554 5.7.1 <alice%nine.test@nine.test>: denied",
  "to=<bounce+alice=x.org@y.test>",
  "5.1.1 <bounce+alice=x.org@y.test>: unknown",
  "5.1.1 <SRS0=HH=TT=x.org=alice@y.test>: unknown",
  "RCPT from unknown[192.0.2.1]: 554 5.7.1 <alice>x@x.test>: Relay access denied; from=<a@b> to=<c@d>",
  "RCPT from unknown[192.0.2.1]: 554 5.7.1 <alice<x@x.test>: Relay access denied; from=<a@b> to=<c@d>",
  "alice@[192.0.2.1]",
  "alice@[IPv6:2001:db8::1]",
  "warning: Illegal address syntax from unknown[192.0.2.1] in RCPT command: <alice x.org>",
  "warning: Illegal address syntax from unknown[192.0.2.1] in MAIL command: <alice@x@y>",
  "warning: non-SMTP command from unknown[192.0.2.1]: To: alice, doe",
  "improper command pipelining after DATA from unknown[192.0.2.1]: Subject: to alice",
  "cleanup[1]: 4fYx: message-id=alice x.org",
  "cleanup[1]: 4fYx: resent-message-id=alice",
  "warning: unknown[192.0.2.1]: SASL PLAIN authentication failed: x, sasl_username=alice",
])("nobody is left in %s", (line) => {
  expect(redacted(line)).not.toMatch(/alice|doe\b|john/i);
});

test.each([
  "smtp[12]: 4fYx: host mx.x.test said: 451 4.7.1 try again later",
  "warning: hostname a.example does not resolve to address",
  "imap-login: Info: Login: user=<address>, method=PLAIN, mpid=12, TLS, session=<aB3+/=>",
  "started at 12:34:56 (release at /usr/lib)",
])("what names nobody stays: %s", (line) => {
  expect(redacted(line)).toBe(`${line}\n`);
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
  "postfix/smtpd[66]: TLS SNI www.nine.example from unknown[192.0.2.1] not matched, using default chain",
  "postfix/submissions/smtpd[72]: warning: TLS SNI from unknown[192.0.2.1] is invalid: alice@nine.example",
  "postfix/submission/smtpd[73]: warning: TLS SNI from unknown[2001:db8::1] is invalid: any text of a stranger",
])("nothing is left of a name that a client gave in TLS: %s", (line) => {
  expect(redacted(line)).toBe("");
});

test.each([
  "14: : ERROR: check_stun_auth: Cannot find credentials of user <1795966209>",
  "31: : ERROR: A peer IP 10.96.0.10 denied in the range: 10.0.0.0-10.255.255.255",
  "35: : session 001000000000000003: usage: realm=<x.test>, username=<1795966209>, rp=2, rb=136, sp=2, sb=200",
])("nothing is left of who tries TURN: %s", (line) => {
  expect(redacted(line)).toBe("");
});
