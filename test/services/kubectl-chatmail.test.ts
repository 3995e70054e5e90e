/**
 * The kubectl plugin against a real API server with the operator: in this process, and its bundle
 * through kubectl, as the commands of its page have it.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { generateIdentity, identityToRecipient } from "age-encryption";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bundlePlugin } from "../../scripts/plugin.ts";
import { apiVersion, chatmailFleet, chatmailServer } from "../../src/api/names.ts";
import { makeBackup } from "../../src/backup/backup.ts";
import { folderDestination } from "../../src/backup/folder.ts";
import type { LiveJob } from "../../src/operator/server/live.ts";
import { apiServerIsMissing } from "../helpers/api-server.ts";
import { blocksOf } from "../helpers/docs.ts";
import { type Ended, type Exec, execProxy } from "../helpers/exec-server.ts";
import { type LiveSecret, namespace, OperatorCluster, type RunningOperator } from "../helpers/operator-cluster.ts";
import { callPlugin, completePlugin, kubeconfigOf } from "../helpers/plugin.ts";
import { patienceMs, until } from "../helpers/until.ts";
import { programsDir } from "../lab/programs.ts";

const missing = apiServerIsMissing();
if (missing) console.warn(`skipped: ${missing}`);

const root = resolve(import.meta.dirname, "../..");
const blocks = ["docs/kubectl-chatmail.md"]
  .flatMap((page) => blocksOf(page, readFileSync(join(root, page), "utf8")))
  .filter(({ runBy }) => runBy === "test/services/kubectl-chatmail.test.ts");

describe.skipIf(missing !== undefined)("kubectl chatmail", () => {
  let cluster: OperatorCluster;
  let operator: RunningOperator;
  const folder = mkdtempSync(join(tmpdir(), "plugin-"));
  const KUBECONFIG = join(folder, "kubeconfig");

  const chatmail = (...words: string[]) => callPlugin(words, { environment: { KUBECONFIG } });
  const json = async <T>(...words: string[]) => JSON.parse((await chatmail(...words, "-o", "json")).out) as T;

  beforeAll(async () => {
    // rights count here
    cluster = await OperatorCluster.open([namespace], { authorization: "RBAC" });
    operator = cluster.startOperator({ serverDefaults: { messages: { deleteAfterDays: 9 } } });
    writeFileSync(KUBECONFIG, kubeconfigOf(cluster.server, namespace), { mode: 0o600 });
    const defaults = { privacy: { mail: "admin@example.org" } };
    const fleet = {
      apiVersion,
      kind: chatmailFleet.kind,
      metadata: { name: "community", namespace },
      spec: { defaults },
    };
    await cluster.make(chatmailFleet.plural, fleet);
    await cluster.makeServer("nine", {
      domain: "_nine.test",
      fleetRef: { name: "community" },
      accounts: { registration: "Invite" },
    });
    await cluster.makeServer("open", { domain: "_open.test" });
    await cluster.setUp("nine");
    await cluster.runs("nine");
    await cluster.conditionIs("nine", "InvitesReady", "InvitesThere");
  });
  afterAll(async () => {
    await operator?.stop();
    await cluster?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test("status: the server that is not ready comes first, and the call says that by its code", async () => {
    const all = await chatmail("status");
    expect(all.code).toBe(3);
    expect(
      all.out
        .split("\n")
        .slice(1, 3)
        .map((line) => line.split(" ")[0]),
    ).toEqual(["open", "nine"]);
    const one = await chatmail("status", "nine", "-n", namespace);
    expect(one.out).toMatch(/^nine \(_nine\.test\) serves\n/);
    const { servers } = await json<{ servers: { name: string; level: string }[] }>("status", "nine", "open");
    expect(servers.map(({ name }) => name)).toEqual(["open", "nine"]);
    expect(await chatmail("status", "ten")).toMatchObject({
      code: 4,
      err: "error: there is no ChatmailServer ten in namespace chatmail\n",
    });
    expect(await chatmail("status", "-n", "empty")).toMatchObject({
      code: 0,
      err: "there are no servers in namespace empty\n",
    });
  });

  test("spec: values of the spec, the fleet, the operator and built in", async () => {
    const without = await chatmail("spec", "nine");
    expect(without).toMatchObject({
      code: 0,
      err: expect.stringMatching(/has no Deployment of the operator/) as unknown,
    });
    const template = {
      metadata: { labels: { app: "it" } },
      spec: {
        containers: [
          {
            name: "operator",
            image: "it",
            env: [{ name: "SERVER_DEFAULTS", value: '{"messages":{"deleteAfterDays":9}}' }],
          },
        ],
      },
    };
    await cluster.server.request("POST", `/apis/apps/v1/namespaces/${namespace}/deployments`, {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "chatmail-operator", namespace, labels: { "app.kubernetes.io/name": "chatmail-operator" } },
      spec: { selector: { matchLabels: { app: "it" } }, template },
    });
    const { fields } = await json<{ fields: { field: string; value: unknown; from: string }[] }>("spec", "nine");
    const from = (field: string) => fields.find((each) => each.field === field)?.from;
    expect(from("accounts.registration")).toBe("spec");
    expect(from("privacy.mail")).toBe("fleet");
    expect(from("messages.deleteAfterDays")).toBe("operator configuration");
    expect(from("storage.size")).toBe("built in");
    expect((await chatmail("spec", "nine", "--set")).out).not.toContain("built in");
  });

  test("backup: what was saved, or why not", async () => {
    expect(await chatmail("backup", "open")).toMatchObject({
      code: 4,
      err: "error: open has no backup.destination: nothing says where a backup would go. --to FILE brings one here\n",
    });
    await cluster.patch("open", {
      backup: {
        destination: { volumeClaim: { name: "spare" } },
        encryption: { ageRecipients: ["age1lvyvwawkr0mcnnnncaghunadrqkmuf9e6507x9y920xxpp866cnql7dp2z"] },
      },
    });
    const path = `/apis/batch/v1/namespaces/${namespace}/jobs?labelSelector=chatmail.dev/component%3Dbackup`;
    const ended = new Set<string>();
    const plays = async (exitCode: number, message: object) => {
      const next = async () => {
        const { items } = (await cluster.server.request<{ items: LiveJob[] }>("GET", path)).body;
        return items.map(({ metadata: { name } }) => name).find((name) => !ended.has(name));
      };
      const name = await until("the job", next, { patienceMs: patienceMs.client });
      ended.add(name);
      await cluster.runJob(name, { exitCode, message });
    };
    await until("the CronJob", () => cluster.exists("cronjobs", "open-backup"), { patienceMs: patienceMs.client });
    const report = { name: "open-20261129T221800Z-identity.tar.gz.age", size: 5_000, accounts: 3, messages: 0 };
    const [made] = await Promise.all([chatmail("backup", "open"), plays(0, report)]);
    expect(made).toMatchObject({ code: 0, out: expect.stringMatching(/name: +open-20261129T221800Z/) as unknown });
    const [refused] = await Promise.all([chatmail("backup", "open"), plays(1, { problem: "ENOSPC: no room" })]);
    expect(refused).toMatchObject({
      code: 1,
      err: expect.stringMatching(/\nerror: job \S+ failed: ENOSPC: no room\n$/) as unknown,
    });
  });

  test("backup --to: never for nobody, and never onto a terminal", async () => {
    expect(await chatmail("backup", "nine", "--to", join(folder, "x"))).toMatchObject({
      code: 2,
      err: expect.stringMatching(/nobody could read the backup, and it never leaves the pod unencrypted/) as unknown,
    });
    expect(await chatmail("backup", "nine", "--recipient", "age1x")).toMatchObject({ code: 2 });
    const onTerminal = await callPlugin(["backup", "open", "--to", "-"], {
      environment: { KUBECONFIG },
      isTerminal: true,
    });
    expect(onTerminal).toMatchObject({ code: 2, out: "", bytes: [] });
  });

  test("backup --to: whole, or nothing under its name and a code that is not 0", async () => {
    const recipient = "age1lvyvwawkr0mcnnnncaghunadrqkmuf9e6507x9y920xxpp866cnql7dp2z";
    const bytes = Buffer.from("age-encryption.org/v1, and more");
    const report = { name: "nine-x", size: bytes.length, accounts: 3, messages: 7 };
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    let ends: (exec: Exec) => Ended = () => ({ code: 0 });
    const cutOff = ({ cut }: Exec) => {
      cut();
      return { code: 0 };
    };
    const commands: string[][] = [];
    const proxy = await execProxy(cluster.server, async (exec) => {
      commands.push(exec.command);
      await exec.write(bytes.subarray(0, 9));
      await exec.write(bytes.subarray(9));
      return ends(exec);
    });
    const kubeconfig = {
      clusters: [{ name: "it", cluster: { server: proxy.url, "insecure-skip-tls-verify": true } }],
      users: [{ name: "me", user: { token: "t" } }],
      contexts: [{ name: "it", context: { cluster: "it", user: "me", namespace } }],
      "current-context": "it",
    };
    writeFileSync(join(folder, "exec-config"), JSON.stringify(kubeconfig), { mode: 0o600 });
    const environment = { KUBECONFIG: join(folder, "exec-config") };
    const fetched = (to: string, onBytes?: () => Promise<void>) =>
      callPlugin(["backup", "nine", "--recipient", recipient, "--to", to], {
        environment,
        ...(onBytes && { onBytes }),
      });
    const file = join(folder, "nine.age");
    try {
      for (const { how, says } of [
        { how: cutOff, says: /cut off after \d+ bytes/ },
        { how: () => ({ code: 1, stderr: "backup: no room\n" }), says: /no backup was made: no room/ },
        { how: () => ({ code: 1, stderr: "create or drill, not stream" }), says: /older than this verb/ },
        { how: () => ({ code: 0, stderr: JSON.stringify({ ...report, sha256: "ab" }) }), says: /not what was sent/ },
      ]) {
        ends = how;
        const failed = await fetched(file);
        expect(failed).toMatchObject({ code: 1, out: "", err: expect.stringMatching(says) as unknown });
        expect(readdirSync(folder).filter((name) => name.startsWith("nine.age"))).toEqual([]);
        const piped = await fetched("-");
        expect(piped).toMatchObject({ code: 1, out: "", err: expect.stringMatching(/not complete: don't use it/) });
      }
      ends = () => ({ code: 0, stderr: `${JSON.stringify({ ...report, sha256 })}\n` });
      const piped = await fetched("-");
      expect(piped).toMatchObject({ code: 0, out: "" });
      expect(Buffer.concat(piped.bytes)).toEqual(bytes);
      expect(await fetched(file)).toMatchObject({ code: 0, out: expect.stringMatching(/accounts: +3\n/) as unknown });
      expect(readFileSync(file)).toEqual(bytes);
      expect(statSync(file).mode & 0o777).toBe(0o600);
      expect(commands[0]?.slice(2)).toEqual([
        ...["stream", "--server", "nine", "--contents", "Identity", "--recipient", recipient],
      ]);
      const closed = await fetched("-", () => Promise.reject(new Error("EPIPE")));
      expect(closed).toMatchObject({ code: 1, err: expect.stringMatching(/standard output took no more/) as unknown });
    } finally {
      proxy.close();
    }
  });

  test("restore: the keys in a backup become Secrets, once; the operator goes on with them", async () => {
    const identity = await generateIdentity();
    writeFileSync(join(folder, "chatmail-backup.key"), `# created: 2026\n${identity}\n`);
    writeFileSync(join(folder, "other.key"), await generateIdentity());
    const { data = {} } = await cluster.get<LiveSecret>("secrets", "nine-dkim");
    const keys = join(folder, "dkim");
    mkdirSync(join(keys, "_moved.test"), { recursive: true });
    for (const [file, value] of Object.entries(data))
      writeFileSync(join(keys, "_moved.test", file), Buffer.from(value, "base64"));
    const { name: file } = await makeBackup({
      manifest: { server: "moved", domains: ["_moved.test"], time: new Date().toISOString() },
      sources: { mailFolder: join(folder, "none"), identity: [{ kind: "dkim", folder: keys }], contents: "Identity" },
      recipients: [await identityToRecipient(identity)],
      destination: folderDestination(folder),
      keep: 1,
    });
    const restore = (key: string) => chatmail("restore", "moved", join(folder, file), "--identity", join(folder, key));
    expect(await restore("other.key")).toMatchObject({
      code: 1,
      err: "error: this backup is encrypted for other keys than the one given\n",
    });
    expect(await restore("no.key")).toMatchObject({
      code: 2,
      err: `error: --identity ${join(folder, "no.key")}: there is no such file\n`,
    });
    const lost = await chatmail("restore", "moved", folder, "--identity", join(folder, "chatmail-backup.key"));
    expect(lost).toMatchObject({ code: 2, err: `error: ${folder}: it is a directory\n` });
    expect(await cluster.exists("secrets", "moved-dkim")).toBe(false);
    const made = await restore("chatmail-backup.key");
    expect(made).toMatchObject({ code: 0, out: expect.stringMatching(/Secret moved-dkim\n/) as unknown });
    expect(await restore("chatmail-backup.key")).toMatchObject({ code: 0 });
    const other = await chatmail(
      "restore",
      "open",
      join(folder, file),
      "--identity",
      join(folder, "chatmail-backup.key"),
    );
    expect(other).toMatchObject({
      code: 1,
      err: "error: this is a backup of _moved.test, and not of _open.test\n",
    });
    await cluster.makeServer("moved", { domain: "_moved.test" });
    await cluster.setUp("moved");
    expect((await cluster.get<LiveSecret>("secrets", "moved-dkim")).data).toEqual(data);
    expect(await restore("chatmail-backup.key")).toMatchObject({
      code: 1,
      err: expect.stringMatching(/takes no backup from here, since it has no bootstrap\.restore\.upload/) as unknown,
    });
    await cluster.removeServer("moved", operator.world);
  });

  test("dns: the records, their text, and the end of a watch", async () => {
    const shown = await chatmail("dns", "nine");
    expect(shown.out).toMatch(/chatmail\._domainkey\._nine\.test\./);
    expect((await chatmail("dns", "nine", "--zone")).out).toMatch(/^; DNS records of _nine\.test\n/);
    expect((await chatmail("dns", "nine", "--form")).out).toMatch(/^DNS records of _nine\.test\. /);
    expect(await chatmail("dns", "ten", "--zone")).toMatchObject({ code: 4 });
    const stopping = new AbortController();
    const watched = await callPlugin(["dns", "open", "--watch"], {
      environment: { KUBECONFIG },
      signal: stopping.signal,
      onOut: () => stopping.abort(new Error("interrupted")),
    });
    expect(watched).toMatchObject({ code: 130, err: "" });
  });

  test("invite: those that there are, one more, and one less", async () => {
    const data = async () => Object.keys((await cluster.get<LiveSecret>("secrets", "nine-invites")).data ?? {});
    expect((await chatmail("invite", "nine")).out).toMatch(/^link:\n {2}https:\/\/_nine\.test\/i\/[a-z2-9]{20}\n$/);
    const made = await chatmail("invite", "nine", "--new", "friends", "--png", join(folder, "friends.png"));
    expect(made).toMatchObject({ code: 0, err: "" });
    const [page = ""] = /https:\S+/.exec(made.out) ?? [];
    expect(readFileSync(join(folder, "friends.png")).subarray(1, 4).toString()).toBe("PNG");
    expect(await data()).toEqual(["friends", "link"]);
    expect(await chatmail("invite", "nine", "--new", "friends")).toMatchObject({
      code: 1,
      err: expect.stringMatching(/already/) as unknown,
    });
    const { invites } = await json<{ invites: { key: string }[] }>("invite", "nine");
    expect(invites.map(({ key }) => key)).toEqual(["friends", "link"]);
    // the edge of a mark in a corner, in every QR code
    expect((await chatmail("invite", "nine", "--qr")).out).toMatch(/[▀▄█]{7}/);
    expect(await chatmail("invite", "nine", "--revoke", page)).toMatchObject({ code: 0, out: "revoked friends\n" });
    expect(await data()).toEqual(["link"]);
    expect(await chatmail("invite", "nine", "--revoke", "friends")).toMatchObject({ code: 4 });
    const isOpen = async () => (await cluster.statusOf("open")).invite?.page !== undefined;
    await until("everybody to be invited", isOpen, { patienceMs: patienceMs.client });
    expect((await chatmail("invite", "open")).out).toBe("https://_open.test/\ndcaccount:_open.test\n");
    expect(await chatmail("invite", "open", "--new")).toMatchObject({
      code: 4,
      err: expect.stringMatching(/Open/) as unknown,
    });
  });

  test("pause and resume", async () => {
    expect(await chatmail("pause", "nine", "open")).toMatchObject({ code: 0, out: "nine is paused\nopen is paused\n" });
    await cluster.conditionIs("nine", "Paused", "Paused");
    expect((await chatmail("status", "nine")).out).toMatch(/, paused\n/);
    expect(await chatmail("resume", "nine", "open")).toMatchObject({ code: 0, err: "" });
    await cluster.conditionIs("nine", "Paused", "Managed");
  });

  test("doctor: faults that were planted, what can't be seen, and what is well", async () => {
    const label = (level: string | null) => ({ metadata: { labels: { "pod-security.kubernetes.io/enforce": level } } });
    const setLabel = (level: string | null) =>
      cluster.server.request("PATCH", `/api/v1/namespaces/${namespace}`, label(level), "application/merge-patch+json");
    type Found = { findings: { check: string; level: string; cure?: string }[] };
    const examined = async (name: string, now?: Date) => {
      const words = ["doctor", name, "--no-network", "-o", "json"];
      const called = await callPlugin(words, { environment: { KUBECONFIG }, ...(now && { now }) });
      const { findings } = JSON.parse(called.out) as Found;
      return { code: called.code, of: (check: string) => findings.filter((each) => each.check === check) };
    };
    const before = await examined("nine");
    expect(before.of("cluster")).toMatchObject([{ level: "fine" }]);
    expect(before.of("clock")).toMatchObject([{ level: "fine" }]);
    expect(before.of("policy")).toMatchObject([{ level: "fine" }]);
    // no kubelet runs here
    expect(before.of("port 25 out")).toMatchObject([{ level: "unknown" }]);
    await setLabel("restricted");
    const after = await examined("open", new Date(Date.now() + 600_000));
    await setLabel(null);
    expect(after.code).toBe(3);
    expect(after.of("policy")).toMatchObject([
      { level: "problem", cure: expect.stringContaining("enforce=baseline") as unknown },
    ]);
    expect(after.of("clock")).toMatchObject([{ level: "problem" }]);
    expect(after.of("storage")).toMatchObject([
      { level: "problem", cure: expect.stringContaining("describe pvc open-data") as unknown },
    ]);
    expect(after.of("status")[0]).toMatchObject({ level: "problem" });
    const text = await callPlugin(["doctor", "nine", "--no-network"], { environment: { KUBECONFIG } });
    expect(text.out).toMatch(/^ok {6}cluster: Kubernetes v1\./m);
    expect(text.err).toMatch(/^looking at the cluster$/m);
  });

  test("restart: another pod, and only when it is ready it is over", async () => {
    const restarted = chatmail("restart", "nine");
    const isEnding = async () =>
      (await cluster.get<{ metadata: { deletionTimestamp?: string } }>("pods", "nine-0")).metadata.deletionTimestamp;
    await until("the pod to end", isEnding, { patienceMs: patienceMs.client });
    await cluster.bringUp("nine");
    expect(await restarted).toMatchObject({ code: 0, out: "nine has restarted\n" });
    await cluster.runs("nine");
    expect(await chatmail("restart", "open")).toMatchObject({ code: 4 });
  });

  test("update: nothing to do, and what has to be tried again", async () => {
    expect(await chatmail("update", "nine")).toMatchObject({ code: 0, out: "nine has what it is to have\n" });
    expect(await chatmail("update", "nine", "--retry")).toMatchObject({ code: 0 });
  });

  test("rollout: stop, resume, another version, and the way back", async () => {
    const rollout = async () =>
      (await cluster.get<{ spec: { rollout?: object } }>(chatmailFleet.plural, "community")).spec.rollout;
    const { status } = await json<{ status: { servers: { total: number } } }>("rollout", "community");
    expect(status.servers.total).toBe(1);
    expect((await chatmail("rollout", "community")).out).toMatch(/^servers: +1: /m);
    expect(await chatmail("rollout", "community", "--stop")).toMatchObject({
      code: 0,
      out: "community gives no more turns\n",
    });
    expect(await rollout()).toMatchObject({ paused: true });
    expect(await chatmail("rollout", "community", "--to", "2.0.0")).toMatchObject({ code: 0 });
    expect(await rollout()).toMatchObject({ paused: true, version: "2.0.0" });
    expect(await chatmail("rollout", "community", "--return")).toMatchObject({
      code: 0,
      out: "community goes back to 1\n",
    });
    expect(await rollout()).toMatchObject({ paused: false, version: "1" });
    expect(await chatmail("rollout", "community", "--return")).toMatchObject({
      code: 1,
      err: expect.stringMatching(/--to/) as unknown,
    });
    expect(await chatmail("rollout", "community", "--stop", "--resume")).toMatchObject({ code: 2 });
    expect(await chatmail("rollout", "others")).toMatchObject({ code: 4 });
  });

  test("rotate-dkim: the operator is told, and of keys that there are alone", async () => {
    const annotations = async () => (await cluster.get(chatmailServer.plural, "open")).metadata.annotations ?? {};
    expect(await chatmail("rotate-dkim", "open", "--compromised", "none-such")).toMatchObject({ code: 4 });
    expect(await annotations()).not.toHaveProperty("chatmail.dev/rotate-dkim");
    expect(await chatmail("rotate-dkim", "open")).toMatchObject({ code: 0, err: "" });
    expect((await annotations())["chatmail.dev/rotate-dkim"]).toMatch(/^\d{4}-.*Z$/);
  });

  test("report: nothing that names people or opens something", async () => {
    const secrets = ["nine-dkim", "nine-invites", "nine-tls"];
    const values = await Promise.all(secrets.map((name) => cluster.get<LiveSecret>("secrets", name)));
    const file = join(folder, "report.yaml");
    const called = await chatmail("report", "nine", "--no-network", "--file", file);
    expect(called).toMatchObject({ code: 0, out: `wrote ${file}: look at it before you pass it on\n` });
    const text = readFileSync(file, "utf8");
    expect(text).toContain("domain: _nine.test");
    expect(text).toMatch(/<address-\d+>@example\.org/);
    expect(text).not.toMatch(/admin@example\.org|203\.0\.113|PRIVATE KEY|\/i\/[a-z2-9]{20}/);
    for (const { data = {} } of values)
      for (const value of Object.values(data)) {
        expect(text).not.toContain(value);
        expect(text).not.toContain(Buffer.from(value, "base64").toString().trim());
      }
    for (const part of ["statefulsets", "events", "logs", "doctor"])
      expect(text).toMatch(new RegExp(`^ *${part}:`, "m"));
  });

  test("a user without the right is told which one, and whom the plugin impersonates", async () => {
    const refused = await chatmail("status", "--as", "jane", "--as-group", "choir");
    expect(refused.code).toBe(5);
    expect(refused.err).toMatch(/User "jane" cannot list resource "chatmailservers"/);
    const environment = { KUBECONFIG: join(folder, "stranger") };
    writeFileSync(environment.KUBECONFIG, kubeconfigOf(cluster.server, namespace, "no-token"));
    expect(await callPlugin(["status"], { environment })).toMatchObject({ code: 6 });
  });

  test("names are completed", async () => {
    const completed = (...words: string[]) => completePlugin(words, { environment: { KUBECONFIG } });
    expect(await completed("dns", "")).toBe("nine\nopen\n:4\n");
    expect(await completed("-n", "empty", "dns", "")).toBe(":4\n");
    expect(await completed("rollout", "co")).toBe("community\n:4\n");
    expect(await completed("status", "-n", "chat")).toBe("chatmail\n:4\n");
  });

  describe("its bundle", () => {
    const bin = join(folder, "bin");
    const node = dirname(process.execPath);
    const ran = (text: string) =>
      new Promise<string>((done, failed) => {
        const PATH = [bin, folder, node, programsDir(), process.env.PATH].join(delimiter);
        const env = { PATH, KUBECONFIG, HOME: folder };
        execFile("bash", ["-euo", "pipefail", "-c", text], { cwd: folder, env }, (error, stdout, stderr) =>
          error ? failed(new Error(`${text}\n${stdout}\n${stderr}`)) : done(stdout),
        );
      });
    beforeAll(async () => {
      await bundlePlugin(bin, "1.2.3");
      symlinkSync("kubectl-chatmail.mjs", join(bin, "kubectl-chatmail"));
    });

    test("kubectl finds and runs it", async () => {
      expect(await ran("kubectl chatmail --version")).toBe("1.2.3\n");
      expect(await ran("kubectl chatmail status open || test $? = 3")).toMatch(/^open \(_open\.test\)/);
    });

    test.each(blocks.map((block) => ({ title: `${block.page}:${block.line}`, block })))("$title", async ({ block }) => {
      await ran(block.text);
    });

    test("kubectl completes verbs by it", async () => {
      expect(await ran("kubectl __complete chatmail sta")).toMatch(/^status\t/);
    });
  });
});
