/**
 * `npm test [unit|services|cluster …] [FILE …]`: runs every suite that this machine can run now and
 * ends with a table of what ran and what did not, and the files that took longest. A suite or a
 * file of one named on the command line, or REQUIRE_ALL=1, builds what is missing first; with
 * REQUIRE_ALL=1 a skip is a failure.
 */
import { spawn } from "node:child_process";
import { globSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { messageOf } from "../src/lib/text.ts";
import {
  browserPackages,
  dkimPackages,
  edgePackages,
  mailClientPackages,
  nameServerPackages,
  prometheusPackages,
} from "../test/helpers/suite-packages.ts";
import { buildCertManager } from "../test/lab/cert-manager.ts";
import { buildExternalDns } from "../test/lab/external-dns.ts";
import { buildKstatus } from "../test/lab/kstatus.ts";
import { labAvailability, labDown, labExecArgs, labIsThere, labUp, loadImage, namesUp } from "../test/lab/lab.ts";
import { needPackages } from "../test/lab/packages.ts";
import { buildPebble } from "../test/lab/pebble.ts";
import { buildPrograms } from "../test/lab/programs.ts";
import { terminalProgress } from "../test/lab/progress.ts";
import { buildS3Server } from "../test/lab/s3-server.ts";
import { buildTraefik } from "../test/lab/traefik.ts";
import { buildImages, type Images } from "./images.ts";
import { asksForHelp, refuse } from "./options.ts";
import { buildPrevious, previousCommit } from "./previous.ts";
import {
  closingLine,
  type Outcome,
  outcomeTable,
  type SuiteName,
  slowestFiles,
  suiteNames,
  suiteOutcome,
} from "./test-report.ts";

const requireAll = process.env.REQUIRE_ALL === "1";
const usage = `npm test [${suiteNames.join("|")} …] [FILE …]`;
const words = process.argv.slice(2);
if (asksForHelp(words)) {
  console.log(usage);
  process.exit(0);
}
/** Words with a slash are files, or a part of their names: `npm test test/cluster/helm.test.ts`. */
const files = words.filter((word) => word.includes("/")).map((word) => relative("", word));
const asked = words.filter((word) => !word.includes("/"));
const unknown = asked.filter((name) => !(suiteNames as readonly string[]).includes(name));
if (unknown.length > 0) refuse(`no suite is called ${unknown.join(", ")}`, usage);
const filesOf = (suite: SuiteName) => globSync(`test/${suite}/**/*.test.ts`);
const candidates = asked.length > 0 ? suiteNames.filter((name) => asked.includes(name)) : suiteNames;
const lost = files.filter((file) => !candidates.flatMap(filesOf).some((path) => path.includes(file)));
if (lost.length > 0) refuse(`${candidates.join(", ")}: no test file is called ${lost.join(", ")}`, usage);
const chosen = candidates.filter(
  (suite) => files.length === 0 || filesOf(suite).some((path) => files.some((file) => path.includes(file))),
);

const isRun = (path: string) => files.length === 0 || files.some((file) => path.includes(file));

/** The lab as it was found is left as it was found. */
let startedLab = false;

/** Once: what is built must not change under a suite that runs. */
let images: Promise<Images> | undefined;
const builtImages = () => {
  images ??= buildImages();
  return images;
};

/** What a suite's own processes are told; a sentence where it must be left out. */
async function prepare(suite: SuiteName): Promise<Record<string, string> | string> {
  if (suite === "unit") return {};
  const lab = await labAvailability();
  if (lab.state === "impossible") return lab.why;
  if (lab.state === "long" && !requireAll && words.length === 0) return lab.why;
  // not up, on a busy machine, may only mean slow to answer
  if (lab.state !== "up" && !(await labIsThere())) startedLab = true;
  if (suite === "services") {
    await namesUp();
    // outside the lab, from where Go modules can be reached
    if (requireAll) await buildPrograms(terminalProgress());
    const certManager = isRun("test/services/operator-cert-manager.test.ts") ? [buildCertManager] : [];
    const traefik = isRun("test/services/traefik.test.ts") ? [buildTraefik] : [];
    for (const build of [buildKstatus, buildPebble, buildExternalDns, buildS3Server, ...certManager, ...traefik])
      await build(terminalProgress()).catch((thrown) => console.warn(messageOf(thrown)));
    // a test that misses one says so and is skipped
    const packages = [
      browserPackages,
      dkimPackages,
      edgePackages,
      mailClientPackages,
      nameServerPackages,
      prometheusPackages,
    ].flat();
    await needPackages(packages).catch((thrown) => console.warn(messageOf(thrown)));
  }
  const { operator, relay } = await builtImages();
  const env = { OPERATOR_IMAGE: operator.name, RELAY_IMAGE: relay.name };
  if (suite === "services") return env;
  // a test that misses it says so and is skipped
  const builds = { "test/cluster/public.test.ts": buildPebble, "test/cluster/backup.test.ts": buildS3Server };
  for (const [file, build] of Object.entries(builds))
    if (isRun(file)) await build(terminalProgress()).catch((thrown) => console.warn(messageOf(thrown)));
  const isUpgraded = isRun("test/cluster/upgrade.test.ts");
  const before = isUpgraded && (await previousCommit());
  // the cluster waits while it comes up
  const [previous] = await Promise.all([before ? buildPrevious(before, terminalProgress()) : undefined, labUp({})]);
  for (const { archive } of [operator, relay, ...(previous ? [previous.operator, previous.relay] : [])])
    await loadImage(archive);
  return { ...env, ...(previous && { PREVIOUS: JSON.stringify(previous) }) };
}

/** Suites that run beside each other: none, see decision 0050. */
const alone = chosen;
const besides: SuiteName[] = [];

/**
 * Runs one suite with vitest, inside the lab where it needs one, and counts from vitest's own
 * report.
 */
async function run(suite: SuiteName, prepared: Record<string, string>): Promise<Outcome> {
  // Whatever tests put aside goes with the suite; of one that failed it stays.
  const folder = await mkdtemp(join(tmpdir(), "chatmail-test-"));
  const report = join(folder, "report.json");
  const env = { ...process.env, ...prepared, TMPDIR: folder };
  const vitest = [
    "vitest",
    "run",
    `--project=${suite}*`,
    "--reporter=default",
    "--reporter=json",
    `--outputFile.json=${report}`,
    ...files,
  ];
  const [program = "", ...args] = suite === "unit" ? vitest : labExecArgs(vitest);
  // two at one terminal would both draw on its last lines
  const output = besides.length > 1 ? "pipe" : "inherit";
  const status = await new Promise<number>((resolve, reject) => {
    const child = spawn(program, args, { env, stdio: ["ignore", output, output] });
    child.stdout?.pipe(process.stdout, { end: false });
    child.stderr?.pipe(process.stderr, { end: false });
    child.on("error", reject);
    child.on("close", (code) => resolve(code ?? 1));
  });
  const text = await readFile(report, "utf8").catch(() => undefined);
  if (status === 0) await rm(folder, { recursive: true, force: true });
  else console.log(`kept for a look: ${folder}`);
  return suiteOutcome(suite, status, text);
}

/** How a suite ends that may begin after `turn`; its time includes what had to be built for it. */
function outcomeOf(suite: SuiteName, turn: Promise<unknown>) {
  let started = 0;
  const prepared = turn.then(() => {
    started = performance.now();
    return prepare(suite);
  });
  const none = { suite, passed: 0, failed: 0, skipped: 0 };
  const ends = async (): Promise<Outcome> => {
    const left = await prepared;
    return typeof left === "string" ? { ...none, leftOut: left } : run(suite, left);
  };
  const outcome = ends()
    .catch((thrown) => ({ ...none, failed: 1, failure: messageOf(thrown) }))
    .then((ended) => ({ ...ended, seconds: (performance.now() - started) / 1000 }));
  return { prepared: prepared.catch(() => {}), outcome };
}

const outcomes: Outcome[] = [];
try {
  for (const suite of alone) outcomes.push(await outcomeOf(suite, Promise.resolve()).outcome);
  let turn: Promise<unknown> = Promise.resolve();
  const running = besides.map((suite) => {
    const { prepared, outcome } = outcomeOf(suite, turn);
    turn = prepared;
    return outcome;
  });
  outcomes.push(...(await Promise.all(running)));
} finally {
  if (startedLab && process.env.KEEP_LAB !== "1") await labDown();
}

console.log(`\n${outcomeTable(outcomes)}\n`);
const slow = slowestFiles(outcomes);
if (slow !== "") console.log(`${slow}\n`);
console.log(closingLine(outcomes));
const skips = outcomes.some((each) => each.skipped > 0 || each.leftOut !== undefined);
if (requireAll && skips) console.log("REQUIRE_ALL=1: a skip is a failure");
process.exitCode = outcomes.some((each) => each.failed > 0) || (requireAll && skips) ? 1 : 0;
