import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { inClusterCredentials } from "../../../src/kube/credentials.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "service-account-"));
  for (const [file, text] of Object.entries({ "ca.crt": "CA", namespace: "mail\n", token: "one\n" }))
    writeFileSync(join(folder, file), text);
});
afterEach(() => rmSync(folder, { recursive: true }));

test("a pod's own account: where, who, and which authority to trust", async () => {
  const credentials = inClusterCredentials({ host: "10.96.0.1", port: "443", folder });
  expect(credentials.server.href).toBe("https://10.96.0.1/");
  expect(credentials.namespace).toBe("mail");
  expect(String(credentials.tls.ca)).toBe("CA");
  expect(await credentials.headers()).toEqual({ authorization: "Bearer one" });
});

test("while the file can't be read the last token goes on to be used; without one the error is told", async () => {
  let now = 0;
  const credentials = inClusterCredentials({ host: "h", port: "443", folder, now: () => now });
  rmSync(join(folder, "token"));
  await expect(credentials.headers()).rejects.toMatchObject({ code: "ENOENT" });
  writeFileSync(join(folder, "token"), "one");
  await credentials.headers();
  rmSync(join(folder, "token"));
  now = 61_000;
  expect(await credentials.headers()).toEqual({ authorization: "Bearer one" });
  writeFileSync(join(folder, "token"), "");
  expect(await credentials.headers({ refused: true })).toEqual({ authorization: "Bearer one" });
  writeFileSync(join(folder, "token"), "two");
  expect(await credentials.headers()).toEqual({ authorization: "Bearer two" });
});

test("an IPv6 address gets its brackets", () => {
  expect(inClusterCredentials({ host: "fd00::1", port: "6443", folder }).server.host).toBe("[fd00::1]:6443");
});

test("a token that the kubelet has renewed is used within a minute", async () => {
  let now = 0;
  const credentials = inClusterCredentials({ host: "h", port: "443", folder, now: () => now });
  await credentials.headers();
  writeFileSync(join(folder, "token"), "two");
  now = 59_000;
  expect(await credentials.headers()).toEqual({ authorization: "Bearer one" });
  now = 61_000;
  expect(await credentials.headers()).toEqual({ authorization: "Bearer two" });
});
