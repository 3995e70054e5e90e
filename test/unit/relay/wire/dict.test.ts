/**
 * The dict servers, by dialogues as Dovecot 2.3 and 2.4 have them (captured lines; see the
 * reference).
 */
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Accounts } from "../../../../src/relay/accounts/accounts.ts";
import { localAddress } from "../../../../src/relay/domains.ts";
import { Metadata } from "../../../../src/relay/metadata/answers.ts";
import { TokenStore } from "../../../../src/relay/metadata/tokens.ts";
import { Metrics } from "../../../../src/relay/metrics.ts";
import { escaped, parseDictLine, unescaped } from "../../../../src/relay/wire/dict.ts";
import { openDict } from "../../../../src/relay/wire/dict-server.ts";
import type { SocketServer } from "../../../../src/relay/wire/socket-server.ts";
import { dialogue } from "../dialogue.ts";
import { randomFrom, seed } from "../random.ts";
import { collectingLog, settings } from "../settings.ts";

const config = settings();
const user = "abcdefghi@chat.example";
const home = join(config.mailFolder, "chat.example", user);
const guid = "0123456789abcdef0123456789abcdef";
const token = `priv/${guid}/devicetoken`;
const server = `shared/${guid}/vendor/vendor.dovecot/pvt/server/vendor/deltachat`;
const now = 1_795_000_000;
const appVersionsFile = join(config.runFolder, "appversions.json");
const turnSecretFile = join(config.runFolder, "turn-secret");
const log = collectingLog();
const metrics = new Metrics();

const accounts = {
  find: (address: string) => (address === user ? localAddress(config, address) : undefined),
} as Accounts;

let servers: SocketServer[];
let metadata: string;
const failures: unknown[] = [];

beforeAll(async () => {
  const handlers = { onFailure: (thrown: unknown) => failures.push(thrown), onProtocolError: () => {} };
  metadata = join(config.runFolder, "metadata.sock");
  servers = [
    await openDict({
      path: metadata,
      answers: new Metadata({
        accounts,
        tokens: new TokenStore({ log: log.log, now: () => now * 1000 }),
        config: {
          appVersions: { "chat.example": appVersionsFile },
          turn: { "chat.example": { host: "chat.example", port: 3478, secretFile: turnSecretFile } },
          iroh: { "chat.example": "https://iroh.example" },
          push: { "chat.example": { url: "https://push.example" } },
        },
        metrics,
        log: log.log,
        now: () => now * 1000,
      }),
      ...handlers,
    }),
  ];
  mkdirSync(home, { recursive: true });
});
afterAll(() => Promise.all(servers.map((server) => server.close(0))));
beforeEach(() => {
  writeFileSync(join(home, "password"), "x");
  writeFileSync(join(home, "metadata.json"), "{}");
  failures.length = 0;
});

const stored = () => JSON.parse(readFileSync(join(home, "metadata.json"), "utf8"));
const store = (value: unknown) => writeFileSync(join(home, "metadata.json"), JSON.stringify(value));

describe("metadata", () => {
  test("a token is set and read, in 2.4's lines", async () => {
    await dialogue(
      metadata,
      `C: H4\\t0\\t0\\t\\tmetadata
       C: L${token}\\t${user}
       S: N
       C: B1\\t${user}\\t0
       C: S1\\t${token}\\t1111
       C: C1
       S: O
       C: L${token}\\t${user}
       S: O1111`,
    );
    expect(stored()).toEqual({ devicetoken: { "1111": now } });
  });

  test("several, in 2.3's lines; an unset is ignored", async () => {
    await dialogue(
      metadata,
      `C: H3\\t2\\t0\\t\\tmetadata
       C: B1\\t${user}
       C: S1\\t${token}\\ta1
       C: S1\\t${token}\\tb2
       C: S1\\t${token}\\ta1
       C: C1
       S: O
       C: B2\\t${user}
       C: U2\\t${token}
       C: C2
       S: O
       C: L${token}\\t${user}
       S: Oa1 b2`,
    );
  });

  test("many tokens in one transaction are one write, and the last ten stay", async () => {
    const names = Array.from({ length: 60 }, (_, nth) => `token-${nth}`);
    await dialogue(
      metadata,
      [`C: B1\\t${user}`, ...names.map((name) => `C: S1\\t${token}\\t${name}`), "C: C1", "S: O"].join("\n"),
    );
    expect(Object.keys(stored().devicetoken)).toEqual(names.slice(-10));
  });

  test("a token that was set a short time ago is not written again", async () => {
    store({ devicetoken: { one: now - 3600 } });
    const before = statSync(join(home, "metadata.json")).ino;
    await dialogue(metadata, `C: B1\\t${user}\nC: S1\\t${token}\\tone\nC: C1\nS: O`);
    expect(statSync(join(home, "metadata.json")).ino).toBe(before);
    expect(stored()).toEqual({ devicetoken: { one: now - 3600 } });
  });

  test("a rolled back transaction leaves nothing; an unknown one fails", async () => {
    await dialogue(
      metadata,
      `C: B1\\t${user}
       C: S1\\t${token}\\ta1
       C: R1
       C: C1
       S: F1\\tno such transaction
       C: L${token}\\t${user}
       S: N`,
    );
  });

  test.each([
    ["server entries", `${server}/maxsmtprecipients`, "5"],
    ["other private entries", `priv/${guid}/comment`, "x"],
    ["another's server entry", `shared/${guid}/comment`, "x"],
    ["a path", `priv/${guid}/../devicetoken`, "x"],
    ["the push trigger, which has another server", `priv/${guid}/messagenew`, ""],
  ])("%s can't be set", async (_, key, value) => {
    await dialogue(
      metadata,
      `C: B1\\t${user}
       C: S1\\t${key}\\t${value}
       C: C1
       S: F1\\tthis entry can't be set`,
    );
    expect(stored()).toEqual({});
  });

  test.each(["", "two words", "wide ä", "x".repeat(4097), "esc\\x01nape"])("%j is no token", async (value) => {
    await dialogue(metadata, `C: B1\\t${user}\nC: S1\\t${token}\\t${value}\nC: C1\nS: F1\\tnot a token`);
  });

  test("the longest token there is", async () => {
    const longest = "x".repeat(4096);
    await dialogue(metadata, `C: B1\\t${user}\nC: S1\\t${token}\\t${longest}\nC: C1\nS: O`);
    await dialogue(metadata, `C: L${token}\\t${user}\nS: O${longest}`);
  });

  test("one entry that can't be set fails its transaction; the token beside it is kept", async () => {
    await dialogue(
      metadata,
      `C: B1\\t${user}
       C: S1\\tpriv/${guid}/comment\\tx
       C: S1\\t${token}\\ta1
       C: C1
       S: F1\\tthis entry can't be set
       C: L${token}\\t${user}
       S: Oa1`,
    );
  });

  test("what the server says of itself", async () => {
    await dialogue(
      metadata,
      `C: L${server}/maxsmtprecipients\\t${user}
       S: O1000
       C: L${server}/irohrelay\\t${user}
       S: Ohttps://iroh.example
       C: L${server}/irohrelay\\tabcdefghi@other.example
       S: N
       C: L${server}/constructor\\t${user}
       S: N
       C: Lshared/${guid}/comment\\t${user}
       S: N
       C: Lpriv/${guid}/comment\\t${user}
       S: N
       C: I0\\t0\\tpriv/\\t${user}
       S: `,
    );
  });

  test("a TURN credential ends in two and a half to five days, and is its own proof; there is none without a secret", async () => {
    rmSync(turnSecretFile, { force: true });
    await dialogue(metadata, `C: L${server}/turn\\t${user}\nS: N`);
    // as a person would write it, with the end of a line
    writeFileSync(turnSecretFile, "north\n");
    // printf 'account abcdefghi@chat.example' | openssl dgst -sha256 -hmac north: the first 12
    // digits, modulo 216000, are 172359 printf 1795348359 | openssl dgst -sha1 -hmac north -binary
    // | base64
    await dialogue(
      metadata,
      `C: L${server}/turn\\t${user}\nS: Ochat.example:3478:1795348359:Mgrzp0j7OX+AUYzKLcuMy203WEo=`,
    );
    await dialogue(metadata, `C: L${server}/turn\\tnobody123@chat.example\nS: N`);
    await dialogue(metadata, `C: L${server}/turn\\tabcdefghi@other.example\nS: N`);
  });

  test("tokens end after 90 days, and those from the future do not count; the old form is read", async () => {
    const old = now - 90 * 86_400;
    store({ devicetoken: { gone: old, kept: old + 1, future: now + 61, soon: now + 60 } });
    await dialogue(metadata, `C: L${token}\\t${user}\nS: Okept soon`);
    await dialogue(metadata, `C: B1\\t${user}\nC: S1\\t${token}\\tnew\nC: C1\nS: O`);
    expect(Object.keys(stored().devicetoken)).toEqual(["kept", "soon", "new"]);
    store({ devicetoken: ["one", "two"] });
    await dialogue(metadata, `C: L${token}\\t${user}\nS: Oone two`);
    await dialogue(metadata, `C: B1\\t${user}\nC: S1\\t${token}\\tnew\nC: C1\nS: O`);
    expect(stored()).toEqual({ devicetoken: { one: now, two: now, new: now } });
  });

  test("a token that is set again keeps its place and counts for 90 days more; one that has ended comes last", async () => {
    const [ended, old] = [now - 91 * 86_400, now - 89 * 86_400];
    store({ devicetoken: { ended, first: old, second: old } });
    const set = (each: string) => dialogue(metadata, `C: B1\\t${user}\nC: S1\\t${token}\\t${each}\nC: C1\nS: O`);
    await set("first");
    await set("ended");
    expect(Object.entries(stored().devicetoken)).toEqual([
      ["first", now],
      ["second", old],
      ["ended", now],
    ]);
  });

  test("what can't be read is told as a failure, and not as nothing", async () => {
    rmSync(join(home, "metadata.json"));
    mkdirSync(join(home, "metadata.json"));
    try {
      await dialogue(metadata, `C: L${token}\\t${user}\nS: Ftemporary failure`);
      await dialogue(metadata, `C: B1\\t${user}\nC: S1\\t${token}\\ta\nC: C1\nS: F1\\ttemporary failure`);
      expect(failures).toHaveLength(2);
    } finally {
      rmSync(join(home, "metadata.json"), { recursive: true });
    }
  });

  test("a file that is no metadata is replaced", async () => {
    writeFileSync(join(home, "metadata.json"), "{ half");
    await dialogue(metadata, `C: B1\\t${user}\nC: S1\\t${token}\\tnew\nC: C1\nS: O`);
    expect(stored()).toEqual({ devicetoken: { new: now } });
  });

  test("tokens set at the same time are all kept", async () => {
    const set = (each: number) => dialogue(metadata, `C: B1\\t${user}\nC: S1\\t${token}\\tt${each}\nC: C1\nS: O`);
    await Promise.all(Array.from({ length: 10 }, (_, each) => set(each)));
    expect(Object.keys(stored().devicetoken)).toHaveLength(10);
  });

  test("nobody's token", async () => {
    const other = "nobody123@chat.example";
    await dialogue(metadata, `C: L${token}\\t${other}\nS: N`);
    await dialogue(metadata, `C: B1\\t${other}\nC: S1\\t${token}\\ta\nC: C1\nS: F1\\tno such account`);
  });

  test.each([
    ["a greeting without fields", "H"],
    ["a greeting that is a word", "HELLO"],
    ["a timestamp", "T1\\t1795000000\\t0"],
    ["an increment", `A1\\t${token}\\t1`],
    ["an unknown command", "Xwhat"],
  ])("%s is passed over, in a transaction too", async (_, line) => {
    await dialogue(
      metadata,
      `C: ${line}\nC: B1\\t${user}\nC: ${line}\nC: S1\\t${token}\\ta1\nC: ${line}\nC: C1\nS: O\nC: L${token}\\t${user}\nS: Oa1`,
    );
  });

  test("an empty line ends it, an endless one too", async () => {
    await dialogue(metadata, "C: \nS: (closed)");
    await dialogue(metadata, `C: L${"x".repeat(70_000)}\nS: (closed)`);
  });
});

describe("the protocol", () => {
  test("escapes there and back", () => {
    const text = "a\x01b\0c\td\re\nf";
    expect(escaped(text)).toBe("a\x011b\x010c\x01td\x01re\x01nf");
    expect(unescaped(escaped(text))).toBe(text);
  });

  test(`random lines, seed ${seed}`, () => {
    const random = randomFrom(seed);
    const words = ["L", "S", "B", "C", "I", "\t", "\x01", "1", "priv/", "", "\xff"];
    for (let round = 0; round < 5000; round++) {
      parseDictLine(Array.from({ length: random.below(10) }, () => random.pick(words)).join(""));
    }
  });
});
