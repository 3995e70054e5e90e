/**
 * The commands of the pages for administrators, as they stand there, against a real API server with
 * the operator. Blocks say so by a comment before them (test/helpers/docs.ts).
 */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeSelfSigned } from "../../src/certificates/self-signed.ts";
import { apiServerIsMissing } from "../helpers/api-server.ts";
import { type Block, blocksOf } from "../helpers/docs.ts";
import { programsPath, writeKubeconfig } from "../helpers/kubeconfig.ts";
import { type LiveSecret, namespace, OperatorCluster, type RunningOperator } from "../helpers/operator-cluster.ts";
import { patienceMs, until } from "../helpers/until.ts";

const missing = apiServerIsMissing();
if (missing) console.warn(`skipped: ${missing}`);

const root = resolve(import.meta.dirname, "../..");
/** In the order in which a reader comes to them. */
const pages = [
  "README.md",
  "docs/quick-start.md",
  "docs/before-you-start.md",
  "docs/dns.md",
  "docs/certificates.md",
  "docs/joining.md",
  "docs/gitops/README.md",
  "docs/day-two.md",
  "docs/fleets.md",
  "docs/labels-and-annotations.md",
  "docs/events.md",
  "docs/monitoring.md",
  "docs/troubleshooting.md",
  "docs/backup.md",
] as const;
const blocks = pages
  .flatMap((page) => blocksOf(page, readFileSync(join(root, page), "utf8")))
  .filter(({ runBy }) => runBy?.startsWith("test/services/docs.test.ts"));
/**
 * Of entries about a reason: `kubectl …` within the text, but for those that need containers or
 * kinds of other projects.
 */
const looks = [...readFileSync(join(root, "docs/troubleshooting.md"), "utf8").matchAll(/`(kubectl [^`]+)`/g)]
  .map(([, command = ""]) => command.replaceAll(/\n +/g, " "))
  .filter(
    (command) =>
      !/^kubectl( -n \w+)? (logs|exec|top|chatmail)\b|cert-manager\.io|externaldns\.k8s\.io|-w$/.test(command),
  );
const isLast = ({ runBy = "" }: Block) => runBy.endsWith(", last");
const titled = (of: readonly Block[]) => of.map((block) => ({ title: `${block.page}:${block.line}`, block }));
const saving = blocks.filter(({ page }) => page === "docs/backup.md");

describe.skipIf(missing !== undefined)("commands of the docs", () => {
  let cluster: OperatorCluster;
  let operator: RunningOperator;
  const folder = mkdtempSync(join(tmpdir(), "docs-"));

  /** As a reader pastes it into a shell, in the project's folder. */
  const ran = ({ text }: Pick<Block, "text">) =>
    new Promise<string>((done, failed) => {
      const env = {
        ...process.env,
        KUBECONFIG: join(folder, "kubeconfig"),
        PATH: programsPath(),
      };
      execFile("bash", ["-euo", "pipefail", "-c", text], { cwd: folder, env }, (error, stdout, stderr) =>
        error ? failed(new Error(`${text}\n${stderr}`)) : done(stdout),
      );
    });
  const secrets = () => ran({ text: "kubectl get secrets -l chatmail.dev/server=nine -o name" });

  beforeAll(async () => {
    cluster = await OperatorCluster.open();
    operator = cluster.startOperator();
    writeKubeconfig(cluster.server, folder, namespace);
    for (const name of ["examples", "install", "charts"]) symlinkSync(join(root, name), join(folder, name));
    const { certificatePem, keyPem } = await makeSelfSigned("_nine.test", new Date());
    writeFileSync(join(folder, "fullchain.pem"), certificatePem);
    writeFileSync(join(folder, "privkey.pem"), keyPem);
    await ran({ text: "kubectl apply -f examples/chatmail.yaml" });
    await cluster.setUp("nine");
    await cluster.runs("nine");
    // its first invite stays when everybody may join again
    await cluster.patch("nine", { accounts: { registration: "Invite" } });
    await cluster.conditionIs("nine", "InvitesReady", "InvitesThere");
    await cluster.patch("nine", { accounts: { registration: "Open" } });
    const isOpen = async () => (await cluster.statusOf("nine")).invite?.page !== undefined;
    await until("everybody to be invited", isOpen, { patienceMs: patienceMs.client });
  });
  afterAll(async () => {
    await operator?.stop();
    await cluster?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test("keys that the page on backup saves are restored by it, and the server goes on", async () => {
    const [save, restore] = saving.filter(({ text }) => text.includes("nine-keys.yaml"));
    const key = async () => (await cluster.get<LiveSecret>("secrets", "nine-dkim")).data?.["rsa.pem"];
    const before = await key();
    await ran(save ?? { text: "false" });
    await cluster.remove("secrets", "nine-dkim");
    await cluster.remove("secrets", "nine-tls");
    await cluster.conditionIs("nine", "Stalled", "DKIMKeyLost");
    await ran(restore ?? { text: "false" });
    const isOver = async () => (await cluster.condition("nine", "Stalled"))?.status === "False";
    await until("the loss to be over", isOver, { patienceMs: patienceMs.client });
    expect(await key()).toBe(before);
  });

  test("the page on backup asks for backups, and makes one at once", async () => {
    const [ask, make] = saving.filter(({ text }) => text.includes("backup-s3") || text.includes("nine-backup"));
    await ran(ask ?? { text: "false" });
    await cluster.conditionIs("nine", "BackupReady", "BackupNotYetMade");
    await ran(make ?? { text: "false" });
  });

  test.each(titled(blocks.filter((block) => !isLast(block) && !saving.includes(block))))(
    "$title",
    async ({ block }) => {
      await ran(block);
    },
  );

  test("commands within the text of troubleshooting are understood", async () => {
    const fleet = "{apiVersion: chatmail.dev/v1alpha1, kind: ChatmailFleet, metadata: {name: community}, spec: {}}";
    await ran({ text: `kubectl apply -f - <<< '${fleet}'` });
    await ran({ text: "kubectl -n chatmail create secret generic dns-key --from-literal=key=example" });
    expect(looks.length).toBeGreaterThan(15);
    for (const text of new Set(looks)) await ran({ text });
  });

  test("what the pages print is what they say", async () => {
    const printed = async (page: string, part: string) =>
      ran(blocks.find((block) => block.page === page && block.text.includes(part)) ?? { text: "false" });
    expect(await printed("docs/dns.md", "dns.records")).toMatch(
      /^chatmail\._domainkey\._nine\.test\.\tTXT\t.*v=DKIM1/m,
    );
    expect(await printed("docs/quick-start.md", "invite.page")).toBe("https://_nine.test/\n");
    expect(await printed("docs/joining.md", "nine-invites")).toMatch(/^https:\/\/_nine\.test\/i\/[a-z2-9]{20}$/m);
    expect(await printed("docs/events.md", "events")).toMatch(/Normal\s+Serving\s+ChatmailServer\/nine/);
    expect(await printed("docs/monitoring.md", "custom-columns")).toMatch(/chatmail\s+nine\s+\w+\s+\d{4}-/);
  });

  test.each(titled(blocks.filter(isLast)))("at the end: $title", async ({ block }) => {
    await ran(block);
  });

  test("nothing is left then", async () => {
    expect(await secrets()).toBe("");
  });
});
