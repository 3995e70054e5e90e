import { expect, test } from "vitest";
import { clientKey } from "../../../../src/relay/accounts/client.ts";
import { randomFrom, seed } from "../random.ts";

test.each([
  ["192.0.2.7", "192.0.2.7"],
  ["127.0.0.1", "127.0.0.1"],
  ["::ffff:192.0.2.7", "192.0.2.7"],
  ["::ffff:c000:207", "192.0.2.7"],
  ["0:0:0:0:0:FFFF:192.0.2.7", "192.0.2.7"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
  ["2001:DB8:01:0002::", "2001:db8:1:2::/64"],
  ["2001:db8::1", "2001:db8:0:0::/64"],
  ["2001:db8::2:3:4:5:6", "2001:db8:0:2::/64"],
  ["2001::2:3:4:5:192.0.2.7", "2001:0:2:3::/64"],
  ["::1", "0:0:0:0::/64"],
  ["::", "0:0:0:0::/64"],
  ["::5:6:7:8", "0:0:0:0::/64"],
  ["fe80::1%eth0", "fe80:0:0:0::/64"],
  ["", undefined],
  ["unknown", undefined],
  ["1.2.3", undefined],
  ["1.2.3.4\nx", undefined],
  ["[::1]", undefined],
])("%j counts as %j", (address, key) => expect(clientKey(address)).toBe(key));

test(`any text is a client or none, seed ${seed}`, () => {
  const random = randomFrom(seed);
  const words = ["::", ":", "0", "ffff", "2001", "db8", "1.2.3.4", ".", "%", "[", "]", "/", "@", "\0", "é", " "];
  for (let round = 0; round < 20_000; round++) {
    const key = clientKey(Array.from({ length: random.below(14) }, () => random.pick(words)).join(""));
    if (key !== undefined) expect(key).toMatch(/^([0-9]{1,3}\.){3}[0-9]{1,3}$|^([0-9a-f]{1,4}:){4}:\/64$/);
  }
});
