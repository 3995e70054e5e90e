/**
 * Our DKIM against two others, OpenDKIM (as the milter that relays of the field run) and dkimpy,
 * both ways, on generated messages with odd folds, 8-bit octets, long lines and empty lines; and
 * the same verdicts as theirs on messages that were changed on the way.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseTags } from "../../src/dkim/tags.ts";
import { messageOf } from "../../src/lib/text.ts";
import { MilterClient } from "../helpers/milter-client.ts";
import { seededRandom } from "../helpers/seeded-random.ts";
import { dkimPackages } from "../helpers/suite-packages.ts";
import { patienceMs, until } from "../helpers/until.ts";
import { needPackages } from "../lab/packages.ts";
import { tryRun } from "../lab/run.ts";
import {
  type Message,
  messageBytes,
  oddMessage,
  onTop,
  parseMessage,
  signed,
  testKey,
  verified,
} from "../unit/dkim/messages.ts";

const missing = await needPackages(dkimPackages).then(() => undefined, messageOf);
if (missing !== undefined && process.env.REQUIRE_ALL === "1") throw new Error(missing);
if (missing !== undefined) console.warn(`SKIPPED: DKIM against OpenDKIM and dkimpy. ${missing}`);

const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
console.log(`DKIM interop: seed ${seed} (SEED=${seed} repeats it)`);
const random = seededRandom(seed);
const count = 250;
const domain = "_nine.example";
/** OpenDKIM judges by the real time, and takes no signature from the future. */
const now = Date.now();
const messages = Array.from({ length: count }, () => oddMessage(random, `a@${domain}`));

const rsa = testKey(domain, "opendkim");
const ed = testKey(domain, "ed", "ed25519");
const records = { [rsa.keyName]: rsa.record, [ed.keyName]: ed.record };
const kinds = ["simple", "relaxed"] as const;
const canonicalizations = kinds.flatMap((headers) => kinds.map((body) => [headers, body] as const));

const folder = mkdtempSync(join(tmpdir(), "dkim-interop-"));
const children: ChildProcess[] = [];
afterAll(async () => {
  for (const child of children) {
    child.kill("SIGKILL"); // on SIGTERM it lingers for seconds
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  }
  rmSync(folder, { recursive: true, force: true });
});

const shown = (message: Message) => `seed ${seed}: ${JSON.stringify(messageBytes(message).toString("latin1"))}`;

async function dkimpy(job: object): Promise<unknown[]> {
  const script = resolve(import.meta.dirname, "../fixtures/dkim/dkimpy.py");
  const ran = await tryRun(["/usr/bin/python3", script], { input: JSON.stringify(job) });
  if (ran.code !== 0) throw new Error(ran.stderr.slice(-2000));
  return JSON.parse(ran.stdout) as unknown[];
}

const dkimpyVerdicts = (given: readonly Message[], signatures: number) =>
  dkimpy({
    do: "verify",
    records,
    jobs: given.map((each) => ({ message: messageBytes(each).toString("latin1"), signatures })),
  }) as Promise<(true | string)[][]>;

/** What dkimpy calls a failure: false or the words of an exception. */
const isPass = (verdict: unknown) => verdict === true;

/** OpenDKIM's settings of a relay (chatmail protocol §19), and its keys from a file. */
async function openDkim(name: string, canonicalization: string): Promise<string> {
  const path = (file: string) => join(folder, `${name}-${file}`);
  writeFileSync(path("key"), rsa.key.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
  writeFileSync(
    path("dns"),
    Object.entries(records)
      .map(([key, value]) => `${key} ${value}\n`)
      .join(""),
  );
  const oversigned =
    "from,reply-to,subject,date,to,cc,resent-date,resent-from,resent-sender,resent-to,resent-cc,in-reply-to,references," +
    "list-id,list-help,list-unsubscribe,list-subscribe,list-post,list-owner,list-archive,autocrypt";
  const settings = {
    Syslog: "no",
    Mode: "sv",
    Background: "no",
    Socket: `local:${path("socket")}`,
    Domain: domain,
    Selector: rsa.selector,
    KeyFile: path("key"),
    Canonicalization: canonicalization,
    SignHeaders: "*,+autocrypt,+content-type",
    OversignHeaders: oversigned,
    InternalHosts: "127.0.0.1",
    TestDNSData: `file:${path("dns")}`,
    RequireSafeKeys: "no",
    AlwaysAddARHeader: "yes",
    AuthservID: "here",
  };
  writeFileSync(
    path("conf"),
    Object.entries(settings)
      .map(([key, value]) => `${key} ${value}\n`)
      .join(""),
  );
  const child = spawn("/usr/sbin/opendkim", ["-f", "-x", path("conf")], { stdio: ["ignore", "ignore", "pipe"] });
  children.push(child);
  let said = "";
  child.stderr?.on("data", (chunk) => {
    said += chunk;
  });
  await until(
    "OpenDKIM",
    async () => {
      if (child.exitCode !== null) throw new Error(said);
      const client = await MilterClient.connect(path("socket"));
      client.close();
      return true;
    },
    { patienceMs: patienceMs.socket },
  ).catch((thrown) => {
    throw new Error(`${messageOf(thrown)} ${said}`, { cause: thrown });
  });
  return path("socket");
}

/**
 * Hands over one message, on a connection of its own, and returns the headers that OpenDKIM adds.
 * It signs for our own host and verifies for others.
 */
async function throughOpenDkim(socket: string, message: Message, from: "our host" | "elsewhere") {
  const client = await MilterClient.connect(socket);
  await client.negotiate();
  const withoutReply = (bit: number) => (client.steps & bit) !== 0;
  const goOn = async (what: string) => {
    const { command } = await client.answer();
    // "skip": it has seen enough of the body
    if (command !== "c" && command !== "s")
      throw new Error(`OpenDKIM answers ${what} with ${command}; ${shown(message)}`);
  };
  const address = from === "our host" ? "127.0.0.1" : "192.0.2.1";
  client.send("D", "Cj\0here\0");
  client.send(
    "C",
    Buffer.concat([Buffer.from("host.example\x004"), Buffer.from([0, 25]), Buffer.from(`${address}\0`)]),
  );
  if (!withoutReply(0x1000)) await goOn("connect");
  client.send("H", "host.example\0");
  if (!withoutReply(0x2000)) await goOn("HELO");
  client.send("D", "Mi\0queue1\0");
  client.send("M", `<a@${domain}>\0`);
  if (!withoutReply(0x4000)) await goOn("MAIL");
  client.send("R", "<b@two.example>\0");
  if (!withoutReply(0x8000)) await goOn("RCPT");
  for (const [name, value] of message.headers) {
    const text = (client.steps & 0x100000) !== 0 ? value : value.replace(/^ /, "");
    client.send("L", Buffer.from(`${name}\0${text}\0`, "latin1"));
    if (!withoutReply(0x80)) await goOn("a header");
  }
  client.send("N");
  if (!withoutReply(0x40000)) await goOn("end of headers");
  if (message.body !== "") client.send("B", Buffer.from(message.body, "latin1"));
  if (message.body !== "" && !withoutReply(0x80000)) await goOn("body");
  client.send("E");
  const added: [string, string][] = [];
  for (;;) {
    const { command, data } = await client.answer();
    if (command === "i" || command === "h") {
      const [name = "", value = ""] = data.toString("latin1", command === "i" ? 4 : 0).split("\0");
      added.push([name, (client.steps & 0x100000) !== 0 ? value : ` ${value}`]);
    } else if (command === "a" || command === "c") {
      client.close();
      return added;
    } else if (command !== "m") throw new Error(`OpenDKIM answers ${command}; ${shown(message)}`);
  }
}

/** One word for each signature, such as "pass" or "fail", in the order of its report. */
async function openDkimVerdicts(socket: string, message: Message): Promise<string[]> {
  const added = await throughOpenDkim(socket, message, "elsewhere");
  const report = added.find(([name]) => name === "Authentication-Results")?.[1] ?? "";
  return [...report.matchAll(/\bdkim=([a-z]+)/g)].map((each) => each[1] as string);
}

const headerList = (message: Message) =>
  (parseTags((message.headers[0]?.[1] ?? "").replaceAll("\n", "\r\n"))?.get("h") ?? "")
    .toLowerCase()
    .replace(/\s/g, "")
    .split(":")
    .toSorted();

const one = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;

/**
 * The text with one thing other than it was, at a random place; some of it does not matter to some
 * canonical forms.
 */
function changedText(text: string, lineEnd: string): string {
  const [pattern, by] = one<[RegExp, string | ((found: string) => string)]>([
    [/[a-z]/g, (letter) => letter.toUpperCase()],
    [/[A-Za-z0-9]/g, "7"],
    [/ /g, "  "],
    [/ /g, "\t"],
    [/(?<![\s])[ \t]+(?=\S)/g, `${lineEnd} `],
    [/[ \t]+(?=\r?\n)/g, ""],
    [/(?<!\s)(?=\r?\n)/g, " "],
    [/(?<!\s)\r?\n(?=[ \t])/g, ""],
  ]);
  const places = [...text.matchAll(pattern)];
  if (places.length === 0) return text;
  const { index, 0: found } = one(places);
  return text.slice(0, index) + (typeof by === "string" ? by : by(found)) + text.slice(index + found.length);
}

/**
 * Somewhere in the message, behind the signatures, one thing is other than it was: white space, a
 * letter, a line, a header.
 */
function changed(message: Message): Message {
  const { headers, body } = message;
  return one([
    () => onTop(message, one(["Subject", "X-New", "To", "Received", "Autocrypt"]), " added"),
    () => ({ headers, body: `${body}${one(["\r\n", "more\r\n", " \r\n", "x"])}` }),
    () => ({ headers, body: changedText(body, "\r\n") }),
    () => {
      const at = 2 + Math.floor(random() * (headers.length - 2));
      const change = ([name, value]: readonly [string, string]) =>
        random() < 0.1 ? ([name.toUpperCase(), value] as const) : ([name, changedText(value, "\n")] as const);
      return { body, headers: headers.map((each, index) => (index === at ? change(each) : each)) };
    },
  ])();
}

describe.skipIf(missing !== undefined)("DKIM with other implementations", () => {
  const ours: Message[] = [];
  let relay: string;

  beforeAll(async () => {
    for (const each of messages) ours.push(await signed(each, [rsa, ed], { now }));
    relay = await openDkim("relay", "relaxed/simple");
  });

  test(`dkimpy finds our RSA and Ed25519 signatures valid on ${count} messages`, async () => {
    const verdicts = await dkimpyVerdicts(ours, 2);
    for (const [index, each] of verdicts.entries()) expect(each, shown(ours[index] as Message)).toEqual([true, true]);
  });

  test(`OpenDKIM finds our signatures valid on ${count} messages`, async () => {
    for (const each of ours) {
      const verdicts = await openDkimVerdicts(relay, each);
      expect(verdicts, shown(each)).toEqual(["pass", "pass"]);
    }
  });

  test(`OpenDKIM signs the headers that we sign, on ${count} messages`, async () => {
    for (const [index, each] of messages.entries()) {
      const added = await throughOpenDkim(relay, each, "our host");
      const theirs = { ...each, headers: added.filter(([name]) => name === "DKIM-Signature") };
      expect(headerList(theirs), shown(each)).toEqual(headerList(ours[index] as Message));
    }
  });

  test.each(canonicalizations)(
    `OpenDKIM's signatures in %s/%s are valid for us on ${count} messages`,
    async (headers, body) => {
      const signer = await openDkim(`${headers}-${body}`, `${headers}/${body}`);
      for (const each of messages) {
        const added = await throughOpenDkim(signer, each, "our host");
        const theirs = { ...each, headers: [...added, ...each.headers] };
        const { results } = await verified(theirs, records, { now, onlyDomain: domain });
        expect(
          results.map((result) => result.why),
          shown(theirs),
        ).toEqual(["valid"]);
      }
    },
  );

  const ways = canonicalizations.flatMap((canonicalization) =>
    ["rsa-sha256", "ed25519-sha256"].flatMap((algorithm) =>
      [false, true].map((length) => ({ canonicalization, algorithm, length })),
    ),
  );
  /** dkimpy refuses to sign these (RFC 6376 §5.4). */
  const neverSigned = ["received", "comments"];
  test(`dkimpy's signatures in ${ways.length} ways are valid for us on ${count} messages`, async () => {
    const edDer = ed.key.export({ type: "pkcs8", format: "der" });
    const jobs = messages.map((each, index) => {
      const way = ways[index % ways.length] as (typeof ways)[number];
      return {
        ...way,
        message: messageBytes(each).toString("latin1"),
        domain,
        selector: way.algorithm === "rsa-sha256" ? rsa.selector : ed.selector,
        key: rsa.key.export({ type: "pkcs1", format: "pem" }),
        seed: edDer.subarray(-32).toString("hex"),
        headers: [...new Set(each.headers.map(([name]) => name.toLowerCase()))].filter(
          (name) => !neverSigned.includes(name),
        ),
      };
    });
    const signatures = (await dkimpy({ do: "sign", jobs })) as string[];
    for (const [index, text] of signatures.entries()) {
      const [header] = parseMessage(Buffer.from(`${text}\r\n`, "latin1")).headers;
      const theirs = onTop(messages[index] as Message, header?.[0] ?? "", header?.[1] ?? "");
      const { results } = await verified(theirs, records, { now });
      expect(
        results.map((result) => result.why),
        shown(theirs),
      ).toEqual(["valid"]);
    }
  });

  test(`of ${2 * count} changed messages we, dkimpy and OpenDKIM find the same ones valid`, async () => {
    const given = [...ours, ...ours].map(changed);
    const theirs = await dkimpyVerdicts(given, 2);
    let passed = 0;
    for (const [index, each] of given.entries()) {
      const { results } = await verified(each, records);
      const verdicts = results.map((result) => result.outcome === "pass");
      expect(verdicts, `dkimpy says ${theirs[index]?.join()}; ${shown(each)}`).toEqual(theirs[index]?.map(isPass));
      const openDkims = await openDkimVerdicts(relay, each);
      expect(verdicts[0], `OpenDKIM says ${openDkims.join()}; ${shown(each)}`).toBe(openDkims[0] === "pass");
      if (verdicts[0]) passed++;
    }
    console.log(`changed messages: ${passed} of ${given.length} still valid, for all three`);
    expect(passed).toBeGreaterThan(0);
    expect(passed).toBeLessThan(given.length);
  });

  test("the examples of the RFCs are valid for dkimpy as for us", async () => {
    const examples = resolve(import.meta.dirname, "../fixtures/dkim/examples");
    for (const [folder, signatures] of [
      ["rfc6376-a", 1],
      ["rfc8463-a", 2],
    ] as const) {
      const read = (file: string) => readFileSync(join(examples, folder, file));
      const keys = JSON.parse(read("keys.json").toString());
      const job = { message: read("message.eml").toString("latin1"), signatures };
      expect(await dkimpy({ do: "verify", records: keys, jobs: [job] })).toEqual([Array(signatures).fill(true)]);
    }
  });
});
