/**
 * The package as others get it: packed, unpacked elsewhere, and the operator of docs/runtime.md run
 * from it against a real API server.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { KubeObject } from "../../src/kube/object.ts";
import { type ApiServer, apiServerIsMissing, startApiServer } from "../helpers/api-server.ts";
import { until } from "../helpers/until.ts";

const run = promisify(execFile);
const root = resolve(import.meta.dirname, "../..");
const bin = (name: string) => join(root, "node_modules/.bin", name);

const crd = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "greetings.demo.example.org" },
  spec: {
    group: "demo.example.org",
    scope: "Namespaced",
    names: { kind: "Greeting", plural: "greetings", singular: "greeting" },
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: "object",
            properties: { spec: { type: "object", properties: { to: { type: "string" } } } },
          },
        },
      },
    ],
  },
};

/** The first block of TypeScript on the page. */
function example(): string {
  const page = readFileSync(join(root, "docs/runtime.md"), "utf8");
  const block = /```ts\n(.*?)```/s.exec(page)?.[1];
  if (!block) throw new Error("docs/runtime.md has no example");
  return block;
}

const missing = apiServerIsMissing();
if (missing) console.warn(`skipped: ${missing}`);

describe.skipIf(missing !== undefined)("the packed runtime", () => {
  const folder = mkdtempSync(join(tmpdir(), "chatmail-package-"));
  let server: ApiServer;
  let greeter: ChildProcess;
  let said = "";

  const request = async (method: string, path: string, body?: unknown, type?: string) =>
    (await server.request<KubeObject & { data?: Record<string, string>; spec?: { holderIdentity?: string } }>(
      method,
      path,
      body,
      type,
    )) as { status: number; body: KubeObject & { data?: Record<string, string>; spec?: { holderIdentity?: string } } };
  const greetings = "/apis/demo.example.org/v1/namespaces/default/greetings";
  const configMap = "/api/v1/namespaces/default/configmaps/world";
  const textIs = (text: string) =>
    until(`the text ${text}`, async () => (await request("GET", configMap)).body.data?.text === text);

  beforeAll(async () => {
    const { stdout } = await run("npm", ["pack", "--json", "--pack-destination", folder], { cwd: root });
    const listing = JSON.parse(stdout.slice(stdout.search(/^[[{]/m)));
    const packed = Array.isArray(listing) ? listing[0] : Object.values(listing)[0];
    const installed = join(folder, "node_modules/chatmail-operator");
    mkdirSync(installed, { recursive: true });
    await run("tar", ["-xzf", join(folder, packed.filename), "-C", installed, "--strip-components=1"]);
    for (const dependency of ["@kubernetes/client-node", "@kubernetes-models/base", "zod", "@types/node"]) {
      const link = join(folder, "node_modules", dependency);
      mkdirSync(dirname(link), { recursive: true });
      symlinkSync(join(root, "node_modules", dependency), link);
    }
    writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
    writeFileSync(join(folder, "greeter.ts"), example());

    server = await startApiServer();
    await request("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd);
    await until("the new kind", async () => (await request("GET", greetings)).status === 200);
    const ca = Buffer.from(server.tls.cert).toString("base64");
    const kubeconfig = {
      clusters: [{ name: "c", cluster: { server: server.url.href, "certificate-authority-data": ca } }],
      users: [{ name: "u", user: { token: server.token } }],
      contexts: [{ name: "x", context: { cluster: "c", user: "u", namespace: "default" } }],
      "current-context": "x",
    };
    writeFileSync(join(folder, "kubeconfig"), JSON.stringify(kubeconfig));
    const env = { PATH: process.env.PATH ?? "", HOME: folder, KUBECONFIG: join(folder, "kubeconfig") };
    greeter = spawn(bin("node"), ["greeter.ts"], { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [greeter.stdout, greeter.stderr])
      stream?.on("data", (chunk) => {
        said += chunk;
      });
  });

  afterAll(async () => {
    greeter?.kill("SIGKILL");
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test("has types that a strict compiler accepts, for ./kube and ./api", async () => {
    writeFileSync(
      join(folder, "model.ts"),
      'import { ChatmailServerModel } from "chatmail-operator/api";\nnew ChatmailServerModel({ metadata: { name: "nine" }, spec: { domain: "nine.example.org" } }).validate();\n',
    );
    const options = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2023", "--types", "node"];
    const args = [...options, "--skipLibCheck", "false", "greeter.ts", "model.ts"];
    const { stdout } = await run(bin("tsc"), args, { cwd: folder }).catch((error) => error as { stdout: string });
    expect(stdout.split("\n").filter((line) => !/^node_modules\/(?!chatmail-operator)|^\s|^$/.test(line))).toEqual([]);
    await run(bin("node"), ["model.ts"], { cwd: folder });
  });

  test("the example is thirty lines", () => {
    expect(
      example()
        .trim()
        .split("\n")
        .filter((line) => line !== "").length,
    ).toBeLessThanOrEqual(40);
  });

  test("makes the child, follows an edit, puts back what is deleted or changed", async () => {
    const metadata = { name: "world", namespace: "default" };
    await request("POST", greetings, {
      apiVersion: "demo.example.org/v1",
      kind: "Greeting",
      metadata,
      spec: { to: "world" },
    });
    await textIs("Hello, world!").catch((error) => {
      throw new Error(said, { cause: error });
    });
    const merge = "application/merge-patch+json";
    await request("PATCH", `${greetings}/world`, { spec: { to: "moon" } }, merge);
    await textIs("Hello, moon!");
    await request("DELETE", configMap);
    await textIs("Hello, moon!");
    await request("PATCH", configMap, { data: { text: "no" } }, merge);
    await textIs("Hello, moon!");
  });

  test("ends on SIGTERM and gives its lease back", async () => {
    greeter.kill("SIGTERM");
    const [code] = greeter.exitCode === null ? await once(greeter, "exit") : [greeter.exitCode];
    expect([code, said]).toEqual([0, expect.not.stringContaining('"level":"error"')]);
    const lease = await request("GET", "/apis/coordination.k8s.io/v1/namespaces/default/leases/greeter");
    expect(lease.body.spec?.holderIdentity).toBe("");
  });
});
