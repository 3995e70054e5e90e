import { expect, test } from "vitest";
import type { Manifest } from "../../../src/backup/archive.ts";
import { keysIn, secretsOf } from "../../../src/cli/views/restored-keys.ts";
import { isMadeFor } from "../../../src/operator/identity/secret.ts";
import { aServer } from "../../helpers/a-server.ts";

test.each([
  {
    entry: "identity/dkim/nine.example.org/rsa.pem",
    is: { kind: "dkim", folder: "nine.example.org", file: "rsa.pem" },
  },
  { entry: "mail/nine.example.org/a@nine.example.org/password", is: undefined },
  { entry: "identity/dkim/nine.example.org", is: undefined },
  { entry: "identity/dkim/nine.example.org/a/b", is: undefined },
])("$entry", ({ entry, is }) => expect(keysIn(entry)).toEqual(is));

test("each kind of key is the Secret that the operator looks for", () => {
  const domain = "nine.example.org";
  const key = (kind: string, file: string, of = domain) => ({ kind, file, folder: of, text: `${kind} ${file}` });
  const manifest: Manifest = {
    format: 1,
    contents: "All",
    server: "old",
    domains: [domain],
    time: "2026-11-29T22:18:00Z",
  };
  const keys = [
    ...[key("tls", "tls.crt"), key("tls", "tls.key"), key("dkim", "rsa.pem"), key("turn", "secret")],
    ...[key("acme-account", "account.key"), key("dkim", "rsa.pem", "other.example")],
  ];
  const secrets = secretsOf(manifest, keys, { name: "nine", namespace: "chatmail" });
  expect(secrets.map(({ metadata: { name }, type }) => `${name} ${type}`)).toEqual([
    "nine-tls kubernetes.io/tls",
    "nine-turn Opaque",
    "nine-dkim Opaque",
  ]);
  expect(secrets[2]?.data).toEqual({ "rsa.pem": Buffer.from("dkim rsa.pem").toString("base64") });
  expect(secrets[2]?.metadata.annotations).toMatchObject({ "chatmail.dev/domain": domain });
  expect(secrets.every((secret) => isMadeFor(aServer(), secret))).toBe(true);
});

test("those of an IPv6 address are in a folder without colons", () => {
  const domain = "2001:db8::9";
  const manifest = {
    format: 1,
    contents: "All",
    server: "old",
    domains: [domain],
    time: "2026-11-29T22:18:00Z",
  } as const;
  const keys = [{ kind: "tls", folder: "2001-db8--9", file: "tls.crt", text: "x" }];
  const [tls] = secretsOf({ ...manifest, domains: [domain] }, keys, { name: "nine", namespace: "chatmail" });
  expect(tls?.metadata.annotations).toMatchObject({ "chatmail.dev/domain": domain });
});
