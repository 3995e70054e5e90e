/** Addresses are judged after the look-up, and what was judged is what is connected to. */
import type { LookupFunction } from "node:net";
import { expect, test } from "vitest";
import { allowedLookup, PeerRefused, requireAllowed } from "../../../../src/relay/https/allowed-lookup.ts";

const mayConnect = (address: string) => !address.startsWith("10.");
const has =
  (...addresses: string[]): LookupFunction =>
  (_host, options, done) => {
    const found = addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));
    if (options.all) done(null, found);
    else done(null, found[0]?.address ?? "", found[0]?.family ?? 4);
  };
const ask = (lookup: LookupFunction, all: boolean) =>
  new Promise((resolve) => {
    allowedLookup(lookup, mayConnect)("a.test", { all }, (failure, found, family) =>
      resolve(failure ?? (all ? found : [found, family])),
    );
  });

test("private addresses are left out, in both forms that sockets ask for", async () => {
  const both = has("10.0.0.8", "8.8.8.8", "2606:4700::1");
  expect(await ask(both, false)).toEqual(["8.8.8.8", 4]);
  expect(await ask(both, true)).toEqual([
    { address: "8.8.8.8", family: 4 },
    { address: "2606:4700::1", family: 6 },
  ]);
});

test.each([true, false])("where none is left it fails, and says nothing of what the DNS had (all: %s)", async (all) => {
  const failure = await ask(has("10.0.0.8"), all);
  expect(failure).toBeInstanceOf(PeerRefused);
  expect(String(failure)).not.toContain("10.0.0");
});

test("a failure of the look-up itself stays what it is", async () => {
  const failed: LookupFunction = (_host, _options, done) =>
    done(Object.assign(new Error("no"), { code: "ENOTFOUND" }), []);
  expect(await ask(failed, true)).toMatchObject({ code: "ENOTFOUND" });
});

test.each(["10.0.0.8", "[10.0.0.8]"])("%s in place of a name is judged without a look-up", (host) => {
  expect(() => requireAllowed(host, mayConnect)).toThrow(PeerRefused);
});

test.each(["8.8.8.8", "[2606:4700::1]", "10.example"])("%s is left to the socket", (host) => {
  expect(() => requireAllowed(host, mayConnect)).not.toThrow();
});
