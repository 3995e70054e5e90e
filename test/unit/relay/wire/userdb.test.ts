import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { SocketServer } from "../../../../src/relay/wire/socket-server.ts";
import { parseUserQuestion } from "../../../../src/relay/wire/userdb.ts";
import { openUserdb } from "../../../../src/relay/wire/userdb-server.ts";
import { dialogue } from "../dialogue.ts";
import { randomFrom, seed } from "../random.ts";
import { settings } from "../settings.ts";

const path = join(settings().runFolder, "userdb.sock");
let server: SocketServer;
let protocolErrors: string[];

beforeEach(async () => {
  protocolErrors = [];
  server = await openUserdb({
    path,
    find: (address) =>
      address.toLowerCase() === "a@b.org" ? { address: "a@b.org", fields: { uid: 5000, home: "/a\tb" } } : undefined,
    onFailure: (thrown) => {
      throw thrown;
    },
    onProtocolError: (why) => void protocolErrors.push(why),
  });
});
afterEach(() => server.close(0));

test("says who it is, and then whose mailbox is where", () =>
  dialogue(
    path,
    String.raw`
    S: VERSION\t1\t3
    S: SPID\t${process.pid}
    C: VERSION\t1\t3
    C: USER\t1\tA@b.org\tprotocol=lmtp\tsession=x
    S: USER\t1\ta@b.org\tuid=5000\thome=/a\x01tb
    C: USER\t2\tb@b.org
    S: NOTFOUND\t2`,
  ));

test.each([
  ["VERSION\\t2\\t0", "another version"],
  ["PASS\\t1\\ta@b.org", "unknown command"],
  ["USER\\tx\\ta@b.org", "malformed USER"],
  ["USER\\t1", "malformed USER"],
])("%s ends the connection", async (line, why) => {
  await dialogue(path, `S: VERSION\\t1\\t3\nS: SPID\\t${process.pid}\nC: ${line}\nS: (closed)`);
  expect(protocolErrors).toEqual([why]);
});

test(`random lines are understood or not, seed ${seed}`, () => {
  const random = randomFrom(seed);
  const words = ["USER", "VERSION", "\t", "1", "a@b.org", "\0", "x", ""];
  for (let round = 0; round < 5000; round++) {
    const line = Array.from({ length: random.below(8) }, () => random.pick(words)).join("");
    expect(["user", "ignored", "wrong"]).toContain(parseUserQuestion(line).kind);
  }
});
