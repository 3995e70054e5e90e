import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { kubeconfigCredentials } from "../../../src/kube/kubeconfig.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kubeconfig-"));
  vi.stubEnv("KUBECONFIG", join(folder, "config"));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

/** A plugin whose tokens have ended when they come: each use of it is a new one. */
function configured(cluster: object = {}): { asked: () => number } {
  const asked = join(folder, "asked");
  writeFileSync(asked, "");
  const status = { token: "t", expirationTimestamp: "2020-01-01T00:00:00Z" };
  const answer = JSON.stringify({ apiVersion: "client.authentication.k8s.io/v1", kind: "ExecCredential", status });
  const plugin = `require("fs").appendFileSync(${JSON.stringify(asked)}, "x"); console.log(${JSON.stringify(answer)})`;
  const exec = { apiVersion: "client.authentication.k8s.io/v1", command: process.execPath, args: ["-e", plugin] };
  const config = {
    "current-context": "c",
    contexts: [{ name: "c", context: { cluster: "c", user: "u", namespace: "mail" } }],
    clusters: [{ name: "c", cluster: { server: "https://api.example.org:6443", ...cluster } }],
    users: [{ name: "u", user: { exec } }],
  };
  writeFileSync(join(folder, "config"), JSON.stringify(config));
  return { asked: () => readFileSync(asked, "utf8").length };
}

test("calls at the same time share one run of the plugin", async () => {
  const { asked } = configured();
  const credentials = await kubeconfigCredentials();
  expect([credentials.server.host, credentials.namespace]).toEqual(["api.example.org:6443", "mail"]);
  const before = asked();
  const all = await Promise.all(Array.from({ length: 8 }, () => credentials.headers()));
  expect(new Set(all.map((headers) => headers.authorization))).toEqual(new Set(["Bearer t"]));
  expect(asked() - before).toBe(1);
  await credentials.headers({ refused: true });
  expect(asked() - before).toBe(2);
});

test("a proxy is refused aloud rather than passed by", async () => {
  configured({ "proxy-url": "http://proxy.example.org" });
  await expect(kubeconfigCredentials()).rejects.toThrow(/proxy/);
});

/** A second file names the user of the first one again, and another context. */
function twoFiles(): void {
  configured();
  const second = {
    "current-context": "other",
    contexts: [{ name: "other", context: { cluster: "o", user: "u", namespace: "else" } }],
    clusters: [{ name: "o", cluster: { server: "https://other.example.org" } }],
    users: [{ name: "u", user: { token: "of the second file" } }],
  };
  writeFileSync(join(folder, "second"), JSON.stringify(second));
  vi.stubEnv("KUBECONFIG", ["missing", "config", "second"].map((name) => join(folder, name)).join(delimiter));
}

test("of several files the first that has a name counts, and one that is missing is passed over", async () => {
  twoFiles();
  const credentials = await kubeconfigCredentials();
  expect(credentials.server.host).toBe("api.example.org:6443");
});

test("another context is taken where it is named", async () => {
  twoFiles();
  const credentials = await kubeconfigCredentials({ environment: process.env, context: "other" });
  expect([credentials.server.host, credentials.namespace]).toEqual(["other.example.org", "else"]);
  expect((await credentials.headers()).authorization).toBe("Bearer t");
});

test("a user to impersonate goes with every request, and so do groups", async () => {
  configured();
  const credentials = await kubeconfigCredentials({ environment: process.env, as: "jane", asGroups: ["a", "b"] });
  expect(await credentials.headers()).toEqual({
    authorization: "Bearer t",
    "impersonate-user": "jane",
    "impersonate-group": ["a", "b"],
  });
});
