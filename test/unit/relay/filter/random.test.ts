/**
 * Thousands of mutated messages: the streaming filter accepts none that the plain rules refuse,
 * however it is chunked. Another seed each day; `npm run fuzz -- mime` has the same rule for
 * minutes.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { expect, test } from "vitest";
import { type Random, randomFrom, seed } from "../random.ts";
import { inspect, takenApart } from "./as-postfix.ts";
import { authorsForOthers } from "./other-readers.ts";
import { plainVerdict } from "./reference.ts";

const folder = resolve(import.meta.dirname, "../../../fixtures/filter");
const messages = readdirSync(folder).map((name) => ({ name, bytes: readFileSync(join(folder, name, "message.eml")) }));

/** Cases in which the filter is stricter than the plain rules on purpose; their why.md says why. */
const stricter =
  /unknown-encoding|text-after-checksum|two-content-types|look-alike|second-close|without-colon|boundary-in-pieces|bare-cr|two-encodings/;

const spices = [
  "\r\n",
  "\r",
  "\n",
  "=",
  "==",
  "--b1",
  "--b1--",
  "--b1\r\n",
  "-",
  " ",
  "\t",
  "\0",
  "Version: 1",
  "Version: x\r\n",
  "Content-Type: multipart/encrypted; boundary=b1\r\n",
  "Content-Transfer-Encoding: base64\r\n",
  "-----BEGIN PGP MESSAGE-----\r\n",
  "-----END PGP MESSAGE-----",
  "=abcd\r\n",
  "hello",
  "From: x@y\r\n",
  "From: ",
  ", x@y",
  "<x@y>",
  "=?utf-8?q?x=40y?=",
  "\xff",
];

function mutated(bytes: Buffer, random: Random): Buffer {
  let message = bytes;
  for (let round = random.below(3); round >= 0; round--) {
    const at = random.below(message.length);
    const to = Math.min(message.length, at + 1 + random.below(random.pick([2, 20, 200])));
    const [before, middle, after] = [message.subarray(0, at), message.subarray(at, to), message.subarray(to)];
    const spice = Buffer.from(random.pick(spices), "latin1");
    message = Buffer.concat(
      random.pick([
        [before, after],
        [before, middle, middle, after],
        [before, spice, middle, after],
        [before, random.bytes(random.below(4)), after],
        [before, message.subarray(0, at)],
        [before],
      ]),
    );
    if (message.length === 0) message = spice;
  }
  return message;
}

test.each(messages)("$name is judged as the plain rules do", ({ name, bytes }) => {
  const [ours, plain] = [inspect(bytes), plainVerdict(bytes)];
  const { secureJoinRequest, deliveryReport } = ours;
  expect({ encrypted: ours.encrypted !== "no", secureJoinRequest, deliveryReport }).toEqual(
    stricter.test(name) ? { encrypted: false, secureJoinRequest: false, deliveryReport: false } : plain,
  );
});

test(`mutated messages, seed ${seed}`, { timeout: 60_000 }, () => {
  const random = randomFrom(seed);
  let accepted = 0;
  for (let round = 0; round < Number(process.env.FUZZ_ROUNDS ?? 4_000); round++) {
    const { name, bytes } = random.pick(messages);
    const message = mutated(bytes, random);
    const ours = inspect(message, () => 1 + random.below(100));
    const plain = plainVerdict(message);
    if (ours.encrypted !== "no") accepted++;
    if (ours.from !== undefined) {
      const froms = takenApart(message).headers.filter((each) => each.name.toLowerCase() === "from");
      const [author, ...others] = authorsForOthers(...froms.map((each) => each.value));
      if (author !== ours.from || others.length > 0)
        expect.fail(`round ${round}: other readers see another author:\n${message.toString("latin1")}`);
    }
    const accepts = {
      encrypted: ours.encrypted !== "no",
      secureJoinRequest: ours.secureJoinRequest,
      deliveryReport: ours.deliveryReport,
    };
    if (Object.entries(accepts).some(([what, yes]) => yes && !plain[what as keyof typeof plain])) {
      expect.fail(`round ${round}, from ${name}: accepted against the rules:\n${message.toString("latin1")}`);
    }
    if (!isDeepStrictEqual(inspect(message), ours)) expect.fail(`chunks change the verdict of round ${round}`);
  }
  expect(accepted).toBeGreaterThan(20);
});
