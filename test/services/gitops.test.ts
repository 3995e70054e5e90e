/**
 * How tools that wait for a resource see a server: the library of Flux and kpt, kubectl wait, and
 * Argo CD with the script that we ship.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LuaFactory } from "wasmoon";
import { parse, parseAllDocuments } from "yaml";
import type { ChatmailServer, ChatmailServerStatus, Condition } from "../../src/api/chatmail-server.ts";
import { chatmailFleet, chatmailServer } from "../../src/api/names.ts";
import { deadlineMs, isAside, isStalled, type Reason, reasons, whoActs } from "../../src/api/reasons.ts";
import type { Seen } from "../../src/operator/server/seen.ts";
import { statusOf } from "../../src/operator/server/status.ts";
import { aServer } from "../helpers/a-server.ts";
import { apiServerIsMissing } from "../helpers/api-server.ts";
import { namespace, OperatorCluster, type RunningOperator } from "../helpers/operator-cluster.ts";
import { buildKstatus, kstatusIsBuilt } from "../lab/kstatus.ts";
import { programsDir } from "../lab/programs.ts";
import { terminalProgress } from "../lab/progress.ts";

const noKstatus = kstatusIsBuilt() || process.env.REQUIRE_ALL === "1" ? undefined : "kstatus is not built";
const noApiServer = apiServerIsMissing();
for (const missing of [noKstatus, noApiServer]) if (missing) console.warn(`skipped: ${missing}`);

/** Its exit code, and what it printed. */
function ran(
  program: string,
  args: readonly string[],
  input = "",
): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const child = execFile(program, args, { maxBuffer: 64 * 2 ** 20 }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code ?? 1) : 0, stdout, stderr }),
    );
    child.stdin?.end(input);
  });
}

let kstatus: string;
async function kstatusOf(objects: readonly object[]): Promise<{ status: string; message: string }[]> {
  const { code, stdout, stderr } = await ran(kstatus, [], JSON.stringify(objects));
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as { status: string; message: string }[];
}

const script = await readFile("docs/gitops/argocd/health.lua", "utf8");
/** As Argo CD does it: the object is a global, and what the script returns is the health. */
async function healthOf(object: object): Promise<{ status: string; message: string }> {
  const lua = await new LuaFactory().createEngine({ injectObjects: true });
  try {
    // as tables of Lua, which `ipairs` walks, and not as objects of JavaScript
    const decode = (value: unknown): string => {
      if (Array.isArray(value)) return `{${value.map(decode).join(",")}}`;
      if (typeof value === "object" && value !== null)
        return `{${Object.entries(value)
          .map(([key, inner]) => `[${JSON.stringify(key)}]=${decode(inner)}`)
          .join(",")}}`;
      return JSON.stringify(value) ?? "nil";
    };
    return (await lua.doString(`obj = ${decode(JSON.parse(JSON.stringify(object)))}\n${script}`)) as {
      status: string;
      message: string;
    };
  } finally {
    lua.global.close();
  }
}

const start = new Date("2026-11-29T12:00:00Z");
const later = (ms: number) => new Date(start.getTime() + ms);
const kube = (kind: string, name: string, more: object) =>
  ({
    apiVersion: "v1",
    kind,
    metadata: { name, generation: 1, creationTimestamp: start.toISOString() },
    ...more,
  }) as never;
const healthy: Seen = {
  identity: {},
  certificate: {
    source: "SelfSigned",
    secretName: "nine-tls",
    facts: { notAfter: later(1e12), changesAt: later(1e12), sha256: "ab", keySha256: "cd", missingNames: [] },
  },
  volumeClaim: kube("PersistentVolumeClaim", "nine-data", { status: { phase: "Bound" } }),
  service: kube("Service", "nine", { status: { loadBalancer: { ingress: [{ ip: "198.18.0.9" }] } } }),
  statefulSet: kube("StatefulSet", "nine", {
    status: { observedGeneration: 1, currentRevision: "a", updateRevision: "a" },
  }),
  pod: kube("Pod", "nine-0", {
    status: {
      phase: "Running",
      conditions: [{ type: "Ready", status: "True" }],
      containerStatuses: [{ name: "relay", ready: true }],
    },
  }),
  cronJob: kube("CronJob", "nine-expiry", { status: { lastSuccessfulTime: start.toISOString() } }),
  jobs: [],
};
const network = { addresses: ["8.8.8.8"] };
const server = (spec: object = {}, status?: ChatmailServerStatus): ChatmailServer => ({
  ...aServer({ network, ...spec }),
  ...(status && { status }),
});
const withStatus = (status: object | undefined, spec: object = {}) => ({ ...server(spec), status });
const well = statusOf({ server: server(), seen: healthy }, start);
const problem = (reason: Reason) => ({ reason, message: `because of ${reason}`, concern: "UpToDate" }) as const;
const afterwards = (reason: Reason, now: Date, before?: ChatmailServerStatus) =>
  statusOf({ server: server({}, before), seen: healthy, failures: [problem(reason)] }, now);
/** What is told beside: in a condition of its own. */
const beside = (reason: Reason): ChatmailServerStatus => {
  const condition: Condition = {
    type: "InvitesReady",
    status: "False",
    reason,
    message: "",
    lastTransitionTime: start.toISOString(),
    observedGeneration: 1,
  };
  return { ...well, conditions: [...(well.conditions ?? []), condition] };
};

const cases = (Object.keys(reasons) as Reason[]).flatMap((reason) => {
  const limit = deadlineMs(reason);
  if (whoActs(reason) === undefined || isAside(reason))
    return [{ reason, when: "beside", status: beside(reason), is: "Current", argo: "Healthy" }];
  if (isStalled(reason))
    return [{ reason, when: "at once", status: afterwards(reason, start), is: "Failed", argo: "Degraded" }];
  const first = afterwards(reason, start);
  return [
    { reason, when: "at first", status: first, is: "InProgress", argo: "Progressing" },
    {
      reason,
      when: `after ${(limit ?? 0) / 60_000} minutes`,
      status: afterwards(reason, later(limit ?? 0), first),
      is: "Failed",
      argo: "Degraded",
    },
  ];
});

const paused = { management: "Paused" } as const;
const states = [
  { when: "nobody has seen it", object: withStatus({ observedGeneration: -1 }), is: "InProgress", argo: "Progressing" },
  { when: "it has no status", object: withStatus(undefined), is: "Current", argo: "Progressing" },
  { when: "all is well", object: withStatus(well), is: "Current", argo: "Healthy" },
  {
    when: "an edit has not been seen",
    object: { ...withStatus(well), metadata: { ...server().metadata, generation: 2 } },
    is: "InProgress",
    argo: "Progressing",
  },
  {
    when: "the spec is refused",
    object: withStatus(statusOf({ server: server(), management: "Managed", refused: problem("SpecInvalid") }, start)),
    is: "Failed",
    argo: "Degraded",
  },
  {
    when: "it is paused",
    object: withStatus(statusOf({ server: server(paused), seen: healthy }, start), paused),
    is: "Current",
    argo: "Suspended",
  },
  {
    when: "it is paused and an edit waits",
    object: withStatus(
      statusOf({ server: server(paused), seen: { ...healthy, waiting: ["Service nine"] } }, start),
      paused,
    ),
    is: "Failed",
    argo: "Suspended",
  },
  {
    when: "it is paused and its volume is lost",
    object: withStatus(
      statusOf({ server: server(paused), seen: healthy, failures: [problem("VolumeLost")] }, start),
      paused,
    ),
    is: "Failed",
    argo: "Degraded",
  },
  {
    when: "it is paused and was never set up",
    object: withStatus(
      statusOf({ server: server(paused), seen: { ...healthy, statefulSet: undefined, pod: undefined } }, start),
      paused,
    ),
    is: "InProgress",
    argo: "Suspended",
  },
  {
    when: "it is Unmanaged and well",
    object: withStatus(statusOf({ server: server({ management: "Unmanaged" }), seen: healthy }, start)),
    is: "Current",
    argo: "Healthy",
  },
  {
    when: "it is Unmanaged and its pod is missing",
    object: withStatus(
      statusOf({ server: server({ management: "Unmanaged" }), seen: { ...healthy, pod: undefined } }, start),
    ),
    is: "InProgress",
    argo: "Progressing",
  },
  {
    when: "it is being deleted",
    object: { ...withStatus(well), metadata: { ...server().metadata, deletionTimestamp: start.toISOString() } },
    is: "Terminating",
    argo: "Healthy", // Argo CD itself says that it is going
  },
];

const reasonTitle = "$reason $when is $is";
const stateTitle = "a server is $is when $when";
const objectOf = ({ status }: { status: ChatmailServerStatus }) => withStatus(status);

describe.skipIf(noKstatus !== undefined)("kstatus", () => {
  beforeAll(async () => {
    kstatus = await buildKstatus(terminalProgress());
  });

  test.each(cases)(reasonTitle, async (each) => {
    const [answer] = await kstatusOf([objectOf(each)]);
    expect(answer?.status).toBe(each.is);
    if (each.is !== "Current") expect(answer?.message).toContain(`because of ${each.reason}`);
  });

  test.each(states)(stateTitle, async ({ object, is }) => {
    expect((await kstatusOf([object]))[0]?.status).toBe(is);
  });
});

describe("Argo CD", () => {
  test.each(cases)("$reason $when is $argo", async (each) => {
    const health = await healthOf(objectOf(each));
    expect(health.status).toBe(each.argo);
    expect(health.message).not.toBe("");
  });

  test.each(states)("a server is $argo when $when", async ({ object, argo }) => {
    expect((await healthOf(object)).status).toBe(argo);
  });

  test.each([chatmailServer, chatmailFleet])(
    "the ConfigMap to merge has the same script for $kind",
    async ({ kind }) => {
      const { data } = parse(await readFile("docs/gitops/argocd/argocd-cm.yaml", "utf8")) as {
        data: Record<string, string>;
      };
      expect(data[`resource.customizations.health.chatmail.dev_${kind}`]).toBe(script);
    },
  );

  test.each(["argocd/application.yaml", "flux/kustomization.yaml"])(
    "the sample %s is YAML with kinds",
    async (file) => {
      const documents = parseAllDocuments(await readFile(`docs/gitops/${file}`, "utf8"));
      expect(documents.flatMap(({ errors }) => errors)).toEqual([]);
      for (const document of documents) expect(document.toJSON()).toMatchObject({ apiVersion: /./, kind: /./ });
    },
  );
});

describe.skipIf(noApiServer !== undefined)("kubectl wait", () => {
  let cluster: OperatorCluster;
  let operator: RunningOperator;
  const folder = mkdtempSync(join(tmpdir(), "chatmail-gitops-"));
  beforeAll(async () => {
    cluster = await OperatorCluster.open();
    operator = cluster.startOperator();
    writeFileSync(join(folder, "ca.pem"), cluster.server.tls.cert);
  });
  afterAll(async () => {
    await operator?.stop();
    await cluster?.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const waited = (name: string, condition: string, timeout: string) =>
    ran(join(programsDir(), "kubectl"), [
      ...["--kubeconfig=/dev/null", `--server=${cluster.server.url.origin}`, `--token=${cluster.server.token}`],
      ...[`--certificate-authority=${join(folder, "ca.pem")}`, "-n", namespace],
      ...["wait", `--for=condition=${condition}`, `cms/${name}`, `--timeout=${timeout}`],
    ]);

  test("for Ready returns when the relay runs, and not before", async () => {
    await cluster.makeServer("waited", { domain: "_waited.test" });
    await cluster.setUp("waited");
    const first = await waited("waited", "Ready", "0s");
    expect([first.code, first.stderr]).toEqual([1, expect.stringContaining("condition not met")]);
    const [ready] = await Promise.all([waited("waited", "Ready", "120s"), cluster.runs("waited")]);
    expect(ready.stdout).toContain("condition met");
  });

  test("for Stalled returns when the spec is refused", async () => {
    await cluster.makeServer("stalled", { domain: "_stalled.test", messages: { deleteAfterDays: 5 } });
    expect((await waited("stalled", "Stalled", "120s")).stdout).toContain("condition met");
  });
});
