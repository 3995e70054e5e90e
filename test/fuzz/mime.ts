/**
 * A message and what the filter says of it, in any split, against the plain rules in
 * test/unit/relay/filter/reference.ts.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { MessageFacts } from "../../src/relay/filter/inspect.ts";
import { judgeIncoming, judgeOutgoing } from "../../src/relay/filter/policy.ts";
import { inspect, takenApart } from "../unit/relay/filter/as-postfix.ts";
import { authorsForOthers } from "../unit/relay/filter/other-readers.ts";
import { plainVerdict } from "../unit/relay/filter/reference.ts";
import { Broken, latin1, plainRulesUpTo, repeated, same, type Target } from "./target.ts";

const folder = resolve(import.meta.dirname, "../fixtures/filter");
const sender = "alice1234@chat.example";

const head = (type: string) => `From: <${sender}>\r\nSubject: [...]\r\nContent-Type: ${type}\r\n`;
const multipart = `${head('multipart/encrypted; boundary="b1"')}\r\n`;
const first = "--b1\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n";
const second = (headers = "") => `${multipart}${first}--b1\r\nContent-Type: application/octet-stream\r\n${headers}\r\n`;
const armor = "-----BEGIN PGP MESSAGE-----\r\n\r\n";

/**
 * Why the filter may refuse what the plain rules take: where readers could disagree, a message is
 * never "encrypted".
 */
const intended: Readonly<Record<string, RegExp>> = {
  "CR or LF alone": /\r(?!\n)|(?<!\r)\n/,
  "two Content-Types or encodings":
    /(?:^|\n)content-(?:type|transfer-encoding)[ \t]*:(?:(?!\r\n\r\n)[\s\S])*\r\ncontent-(?:type|transfer-encoding)[ \t]*:/i,
  "boundary unclear":
    /boundary[*\s=][\s\S]*boundary[*\s=]|boundary\*|boundary\s*=\s*(?:"(?:[^"]*\\|[^"]{200}|[^"]* ")|[^;\r\n]*["()<>@,:\\[\]\s\x80-\xff][^;\r\n])|content-type:[\s\S]{0,200}"[^"]*(?:\r\n\S|$)/i,
  "no parameter between semicolons": /content-type:[\s\S]{0,300}?;\s*[^=;\r\n]*(?:;|\r\n(?![ \t])|")/i,
  "octets above 127 or control in boundary": /boundary[^\r\n]*[^\t\r\n\x20-\x7e]/i,
  "line begins like a delimiter": /(?:^|\n)--b1(?!(?:--)?[ \t]*\r?\n|(?:--)?[ \t]*$)|\n--b1--[\s\S]*\n--b1/,
  "part header unclear": /\n--b1[ \t]*\r\n(?:[^\r\n]+\r\n)*?(?:[^:\r\n]*(?:\r\n|$)|[^:\r\n]*[^\x21-\x7e][^:\r\n]*:)/,
  "unknown transfer encoding": /content-transfer-encoding[ \t]*:/i,
  "text after the base64": /=/,
  "long line": /[^\n]{900}/,
  "more parameters than anybody writes": /(?:;[^;]*){100}/,
  "more line ends than anybody writes": /(?:\r\n){50}/,
};

const outcomeOf = ({ encrypted, secureJoinRequest }: MessageFacts) =>
  encrypted !== "no" || secureJoinRequest ? "accepted" : "refused";

export const target: Target = {
  seeds: () => readdirSync(folder).map((name) => readFileSync(join(folder, name, "message.eml"))),
  words: [
    ...[
      "\r\n",
      "\r",
      "\n",
      "=",
      "==",
      "=\r\n",
      "=3D",
      "--b1",
      "--b1--",
      "--b1\r\n",
      "\r\n--b1--\r\n",
      "-",
      " ",
      "\t",
      "\0",
      "\xff",
      '"',
    ],
    ...[
      "Version: 1",
      "Version: x\r\n",
      "Content-Type: multipart/encrypted; boundary=b1\r\n",
      "Content-Type: text/plain\r\n",
    ],
    ...[
      "Content-Transfer-Encoding: base64\r\n",
      "Content-Transfer-Encoding: quoted-printable\r\n",
      "; boundary=b1",
      "; boundary*=b1",
    ],
    ...[
      "-----BEGIN PGP MESSAGE-----\r\n",
      "-----END PGP MESSAGE-----",
      "=abcd\r\n",
      "Secure-Join: vc-request\r\n",
      "From: <x@y>\r\n",
      "Sender: <x@y>\r\n",
      "From: ",
      "<x@y>",
      ", x@y",
      "=?utf-8?q?x=40y?=",
      "(x@y)",
      "Group: ",
    ],
    ...[`--b1${" ".repeat(1001)}`, `--b1--${" ".repeat(1001)}x`, "x".repeat(1001), "x".repeat(999), "x".repeat(998)],
  ],
  heavyBytes: 1 << 20,
  heavy: {
    "line ends in the first part": (bytes) => latin1(multipart + first + repeated("\r\n", bytes)),
    "line ends in the armor": (bytes) => latin1(second() + armor + repeated("\r\n", bytes)),
    "line ends behind the armor": (bytes) =>
      latin1(`${second()}${armor}-----END PGP MESSAGE-----${repeated("\r\n", bytes)}`),
    letters: (bytes) => latin1(second() + armor + repeated("A", bytes)),
    "look-alikes of a delimiter": (bytes) => latin1(second() + armor + repeated("--b0\r\n", bytes)),
    "escapes in quoted-printable": (bytes) =>
      latin1(second("Content-Transfer-Encoding: quoted-printable\r\n") + armor + repeated("=41", bytes)),
    "spaces in quoted-printable": (bytes) =>
      latin1(
        second("Content-Transfer-Encoding: quoted-printable\r\n") + armor + repeated(`${" ".repeat(999)}A`, bytes),
      ),
    "line ends in base64": (bytes) =>
      latin1(`${second("Content-Transfer-Encoding: base64\r\n")}LS0t${repeated("\r\n", bytes)}`),
    "preamble of empty lines": (bytes) => latin1(multipart + repeated("\r\n", bytes)),
    "part headers": (bytes) => latin1(`${multipart}${repeated(`--b1\r\n${"a:\r\n".repeat(7000)}\r\n`, bytes)}`),
    "quotes in Content-Type": () => latin1(`${head(`multipart/encrypted; ${'\\"'.repeat(50_000)}`)}\r\n`),
    "quotes in a part's Content-Type": () =>
      latin1(`${multipart}--b1\r\nContent-Type: x;${'\\"'.repeat(16_000)}\r\n\r\n`),
    "semicolons in Content-Type": () => latin1(`${head(`multipart/encrypted${";".repeat(100_000)}`)}\r\n`),
    "spaces in Content-Type": () => latin1(`${head(`multipart/encrypted; boundary${" ".repeat(100_000)}x`)}\r\n`),
    folds: () => latin1(`Subject: x${"\r\n \r\n\t".repeat(20_000)}\r\n\r\n`),
    "header lines": (bytes) => latin1(`${repeated("X-Mailer:\r\n", bytes)}\r\n`),
    CRs: (bytes) => latin1(`${head("text/plain")}\r\n${repeated("\r", bytes)}`),
  },
  async open() {
    const notes = new Map<string, number>();
    return {
      check(input, random) {
        const whole = inspect(input, () => input.length + 1);
        same(
          "chunks change the facts",
          inspect(input, () => 1 + random.below(100)),
          whole,
        );
        if (input.length < 4096)
          same(
            "bytes change the facts",
            inspect(input, () => 1),
            whole,
          );
        if (input.length > plainRulesUpTo) return outcomeOf(whole);
        const plain = plainVerdict(input);
        const outgoing = judgeOutgoing(whole, { sender, recipients: ["bob@chat.example"], senderIsDisabled: false });
        const incoming = judgeIncoming(whole, { recipientsLeft: 1, oneMustBeEncrypted: true, isFromNobody: true });
        const allowed = plain.encrypted || plain.secureJoinRequest;
        if (outgoing.kind === "pass" && !allowed) throw new Broken("accepted from our users against the plain rules");
        if (incoming.kind === "pass" && !allowed && !(incoming.as === "mailerDaemon" && plain.deliveryReport)) {
          throw new Broken("accepted from other servers against the plain rules");
        }
        if (outgoing.kind === "pass" || incoming.kind === "pass") oneAuthor(input, whole.from);
        if (whole.encrypted !== "no" && !plain.encrypted) throw new Broken("encrypted against the plain rules");
        if (whole.secureJoinRequest && !plain.secureJoinRequest) throw new Broken("a request against the plain rules");
        if (allowed && whole.encrypted === "no" && !whole.secureJoinRequest) note(input);
        return outgoing.kind === "pass" || incoming.kind === "pass" ? "accepted" : "refused";
      },
      notes: () => notes,
      async close() {},
    };

    /**
     * Whatever From header a reader takes, and however leniently: the author is the one that was
     * judged.
     */
    function oneAuthor(input: Buffer, judged: string | undefined): void {
      const froms = takenApart(input).headers.filter(({ name }) => name.toLowerCase() === "from");
      const authors = authorsForOthers(...froms.map(({ value }) => value));
      if (authors.length !== 1 || authors[0] !== judged) throw new Broken("readers find other authors");
    }

    function note(input: Buffer): void {
      const text = input.toString("latin1");
      const why = Object.keys(intended).find((name) => intended[name]?.test(text));
      if (why === undefined)
        throw new Broken(`refused what the plain rules take, ${takenApart(input).headers.length} headers`);
      notes.set(why, (notes.get(why) ?? 0) + 1);
    }
  },
};
