/**
 * The processes as they are started in the pod, from bundles: every service opens, answers, and
 * closes on SIGTERM.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { createConnection } from "node:net";
import { join } from "node:path";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { bundle } from "../../../scripts/build.ts";
import { MilterClient } from "../../helpers/milter-client.ts";
import { until } from "../../helpers/until.ts";
import { limits, settings } from "./settings.ts";

const config = settings({
  logLevel: "info",
  domains: {
    "chat.example": limits({
      sendRatePerMinute: 1,
      sendBurst: 1,
      refuseNew: { loadPerCoreAbove: 9999, memoryBelowBytes: 0, diskBelowBytes: 0 },
    }),
  },
});
const configFile = join(config.runFolder, "relay.json");
writeFileSync(configFile, JSON.stringify(config));

const bundles = join(config.runFolder, "bundles");
/** Three times as quick to start as from source, with the code that the image runs. */
beforeAll(() => bundle(["relay", "relay-hash", "expire"], bundles));

let child: ChildProcess | undefined;
let output = "";

function start(name: string, args: string[] = [], env: Record<string, string> = {}): Promise<number | null> {
  output = "";
  const started = spawn(process.execPath, [join(bundles, `${name}.js`), ...args], {
    env: {
      PATH: process.env.PATH,
      RELAY_CONFIG: configFile,
      RELAY_HEALTH_PORT: "0",
      RELAY_HTTPS_DELIVERY_PORT: "0",
      ...env,
    },
  });
  child = started;
  started.stdout.on("data", (chunk) => (output += chunk));
  started.stderr.on("data", (chunk) => (output += chunk));
  return new Promise((done) => started.on("exit", (code) => done(code)));
}
afterEach(() => child?.kill("SIGKILL"));

function ask(socket: string, path: string, body: string, method = "POST"): Promise<{ status: number; text: string }> {
  return new Promise((done, fail) => {
    const asked = request({ socketPath: join(config.runFolder, socket), path, method }, (response) => {
      let text = "";
      response.on("data", (chunk) => (text += chunk));
      response.on("end", () => done({ status: response.statusCode ?? 0, text }));
    });
    asked.on("error", fail);
    asked.end(body);
  });
}

/** As long as `until` waits for each of them. */
const twoStarts = { timeout: 2 * 8000 + 4000 };

describe("the relay daemon", () => {
  const user = "abcdefghi@chat.example";

  test("answers at every service, logs no address, and stops", async () => {
    const exited = start("relay");
    await until("the serving loop", () => output.includes("entering serving loop"));
    const sockets = readdirSync(config.runFolder).filter((name) => name.endsWith(".sock"));
    expect(sockets.sort()).toEqual(
      "auth bounce-milter delivered incoming-milter metadata mxdeliv outgoing-milter quota routes sasl userdb web"
        .split(" ")
        .map((name) => `${name}.sock`),
    );
    for (const name of sockets) expect(statSync(join(config.runFolder, name)).mode & 0o777).toBe(0o666);

    const passdb = (password: string) => ask("auth.sock", "http://auth.local/passdb", `${user}\n${password}`);
    const home = join(config.mailFolder, "chat.example", user);
    expect(await passdb('pa"ss\\w x=y')).toEqual({
      status: 200,
      text: `userdb_uid=${process.getuid?.()}\nuserdb_gid=${process.getgid?.()}\nuserdb_home=${home}\n`,
    });
    expect((await passdb("something else")).status).toBe(401);
    expect((await ask("auth.sock", "/passdb", "short@chat.example\nsomething else")).status).toBe(404);
    expect((await ask("auth.sock", "/passdb", "x".repeat(10_000))).status).toBe(413);
    expect((await ask("auth.sock", "/userdb", user)).text).toContain(`\nhome=${home}\n`);
    expect((await ask("auth.sock", "/userdb", "nobody123@chat.example")).status).toBe(404);
    expect((await ask("auth.sock", "/users", "")).text).toBe(`${user}\n`);
    expect(JSON.parse((await ask("web.sock", "/new", "")).text).email).toContain("@chat.example");

    mkdirSync(join(home, "cur"));
    const warn = () => {
      const warning = createConnection(join(config.runFolder, "quota.sock"));
      warning.write(`VERSION\tscript\t4\t0\nnoreply\ntrim\n${user}\n\n`);
      return new Promise((done) => warning.on("close", done).resume());
    };
    // nothing goes, so nothing is told
    await warn();
    for (const serial of [1, 2]) writeFileSync(join(home, "cur", `1700000000.M${serial}P1.h,S=300000000:2,S`), "x");
    await warn();
    await until("the trim to be told", () => output.includes("quota-expire: removed"));
    expect(output.match(/"removed":\d+,"msg":"quota-expire: removed messages"/g)).toEqual([
      '"removed":1,"msg":"quota-expire: removed messages"',
    ]);

    child?.kill("SIGTERM");
    expect(await exited).toBe(0);
    expect(output).toContain("stopped");
    expect(output).not.toContain("abcdefghi");
    expect(readdirSync(config.runFolder).filter((name) => name.endsWith(".sock"))).toEqual([]);
  });

  test("keeps over a restart who has sent how much", twoStarts, async () => {
    const mayRecipient = async () => {
      const client = await MilterClient.connect(join(config.runFolder, "outgoing-milter.sock"));
      await client.negotiate();
      const verdict = await client.deliver({ sender: user, recipients: [user], headers: [], body: "" });
      client.close();
      return verdict.recipients[0];
    };
    for (const answer of ["continue", expect.stringContaining("rate limited until")]) {
      const exited = start("relay");
      await until("the serving loop", () => output.includes("entering serving loop"));
      expect(await mayRecipient()).toEqual(answer);
      child?.kill("SIGTERM");
      expect(await exited).toBe(0);
    }
  });

  test("starts over a dead one's sockets", twoStarts, async () => {
    void start("relay");
    await until("the serving loop", () => output.includes("entering serving loop"));
    child?.kill("SIGKILL");
    void start("relay");
    await until("the serving loop", () => output.includes("entering serving loop"));
    expect((await ask("auth.sock", "/userdb", "nobody123@chat.example")).status).toBe(404);
  });

  test.each([
    ["is not there", undefined, "ENOENT"],
    ["is no JSON", "{", "JSON"],
    ["has a wrong field", JSON.stringify({ ...config, logLevel: "loud" }), "logLevel:"],
    [
      "has a wrong limit",
      JSON.stringify({ ...config, domains: { "a.b": limits({ sendBurst: 0 }) } }),
      "domains.a.b.sendBurst:",
    ],
  ])("says in one line what is wrong when the configuration %s", async (_, text, says) => {
    const file = join(config.runFolder, "wrong.json");
    if (text !== undefined) writeFileSync(file, text);
    expect(await start("relay", [], { RELAY_CONFIG: text === undefined ? `${file}.none` : file })).toBe(1);
    expect(output.trim().split("\n")).toHaveLength(1);
    expect(output).toMatch(/^relay: /);
    expect(output).toContain(says);
  });
});

describe("the expiry job", () => {
  const now = "2026-11-23T12:00:00Z";
  const user = "zzzzzzzzz@chat.example";
  const home = join(config.mailFolder, "chat.example", user);

  test("says figures and no address; --dry-run deletes nothing", async () => {
    mkdirSync(join(home, "cur"), { recursive: true });
    writeFileSync(join(home, "password"), "x");
    utimesSync(join(home, "password"), new Date(now), new Date(now));
    const mail = join(home, "cur", "1700000000.M1P1.h,S=10:2,S");
    writeFileSync(mail, "x");
    utimesSync(mail, 1_700_000_000, 1_700_000_000);
    expect(await start("expire", ["--dry-run", "--now", now])).toBe(0);
    expect(JSON.parse(output)).toMatchObject({ msg: "expiry finished", dryRun: true, messagesRemoved: 1, domains: 1 });
    expect(existsSync(mail)).toBe(true);
    expect(await start("expire", ["--now", now])).toBe(0);
    expect(existsSync(mail)).toBe(false);
    expect(output).not.toContain("zzzzzzzzz");
  });

  test.each([
    ["--now", "yesterday", "not an ISO date"],
    ["--what", "x", "--what"],
  ])("%s %s is refused", async (option, value, says) => {
    expect(await start("expire", [option, value])).toBe(1);
    expect(output).toContain(says);
  });

  test("a mail folder that is not there is told", async () => {
    const file = join(config.runFolder, "gone.json");
    writeFileSync(file, JSON.stringify({ ...config, mailFolder: "/nowhere/mail" }));
    expect(await start("expire", [], { RELAY_CONFIG: file })).toBe(1);
    expect(output).toContain("/nowhere/mail");
    expect(readFileSync(file, "utf8")).toContain("/nowhere");
  });
});
