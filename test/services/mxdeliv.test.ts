/**
 * Strangers who attack `/mxdeliv` while an honest relay uses it. Who is who tells the header of a
 * load balancer, so that one machine can be many clients. What is refused early is answered early,
 * whatever of the body is still to come.
 */
import { connect as connectHttp2 } from "node:http2";
import type { TLSSocket } from "node:tls";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { newAccount } from "../helpers/accounts.ts";
import { openHttps, type Page, postMail } from "../helpers/https.ts";
import { encryptedMessage, randomName } from "../helpers/messages.ts";
import { proxyV2 } from "../helpers/proxy-header.ts";
import { type RelayPod, startRelayPod, waitingMails } from "../helpers/relay-pod.ts";
import { publishStrangeDomain, type StrangeDomain } from "../helpers/strange-domain.ts";
import { patienceMs, until } from "../helpers/until.ts";
import { publishZone, removeZone } from "../lab/names.ts";

const domain = "_mxdeliv.test";
const honestDomain = "mxdeliv-honest.test";
/** Nobody answers at the address that its name server is said to have. */
const silentDomain = "mxdeliv-silent.test";
const honest = "203.0.113.5";
const strangers = ["203.0.113.66", "203.0.113.67"];

let pod: RelayPod;
let direct: RelayPod;
let bob: string;
let peer: StrangeDomain;

beforeAll(async () => {
  pod = await startRelayPod({
    domain,
    spec: { network: { proxyProtocol: { trustedNetworks: ["198.51.100.0/24"] } } },
  });
  direct = await startRelayPod({ domain: "_mxdeliv-direct.test" });
  peer = await publishStrangeDomain(honestDomain);
  await publishZone(silentDomain, "x NS ns\nns A 198.51.100.254");
  bob = `${randomName(9)}@${domain}`;
});
afterAll(async () => {
  await Promise.all([pod?.remove(), direct?.remove()]);
  await peer?.remove();
  await removeZone(silentDomain);
});

const open: TLSSocket[] = [];
afterEach(async () => {
  for (const socket of open.splice(0)) socket.destroy();
});

/** A request whose headers are sent and whose body is the caller's. */
function begin(client: string, { to = [bob], more = "", length = 30_000_000 } = {}) {
  const socket = openHttps(pod, proxyV2(client));
  const seen = { text: "", closed: false };
  socket.on("data", (chunk) => (seen.text += chunk));
  socket.on("error", () => undefined);
  socket.on("close", () => (seen.closed = true));
  open.push(socket);
  const recipients = to.map((each) => `X-Mail-To: ${each}\r\n`).join("");
  socket.write(
    `POST /mxdeliv HTTP/1.1\r\nHost: ${domain}\r\nX-Mail-From: x@a.test\r\n${recipients}${more}Content-Length: ${length}\r\n\r\n`,
  );
  return { socket, seen };
}

const status = (text: string): string => /^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? "none";
function count(answers: readonly string[]): Record<string, number> {
  const counted: Record<string, number> = {};
  for (const each of answers) counted[each] = (counted[each] ?? 0) + 1;
  return counted;
}

async function honestMail(): Promise<Page> {
  const from = `alice@${honestDomain}`;
  const data = encryptedMessage({ from, to: [bob] });
  return postMail(pod, { from, to: [bob], body: await peer.signed(data), preamble: proxyV2(honest) });
}

/** Mails of the honest peer, one after another, are accepted while the attack goes on. */
async function acceptedBeside(attackGoesOn: () => boolean): Promise<void> {
  for (let at = 0; at < 5; at++) {
    const { status, body } = await honestMail();
    expect(`${status} ${body}`).toBe("200 250 OK\n");
    expect(attackGoesOn()).toBe(true);
  }
}
const unanswered = (attack: readonly { seen: { text: string } }[]) => attack.some(({ seen }) => seen.text === "");

/** Bytes of files that nginx has open and nobody can see. */
async function hiddenBytes(): Promise<number> {
  const script =
    'for each in /proc/[0-9]*/fd/*; do case $(readlink "$each") in /tmp/*deleted*) stat -Lc %s "$each";; esac; done';
  const sizes = (await pod.exec("web", "sh", "-c", `${script} 2>/dev/null || true`)).trim();
  return sizes.split("\n").reduce((sum, each) => sum + Number(each), 0);
}

/** Bytes of messages that have not come to their end. */
async function unfinishedBytes(): Promise<number> {
  const kib = await pod.exec("postfix", "sh", "-c", "du -sk /var/spool/postfix/incoming | cut -f1");
  return Number(kib.trim()) * 1024;
}

const mebibytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

test("40 slow messages of 30 MB: ten come in, the rest waits or is refused, and others are not delayed", async () => {
  const attack = Array.from({ length: 40 }, () => begin(strangers[0] ?? ""));
  const line = `${"x".repeat(998)}\r\n`;
  for (const { socket } of attack) socket.write(`From: <x@a.test>\r\n\r\n${line.repeat(3000)}`);
  const trickle = setInterval(() => {
    for (const { socket } of attack) if (socket.writable && socket.writableLength === 0) socket.write(line);
  }, 100);
  try {
    const refused = () => attack.filter(({ seen }) => status(seen.text) === "503").length;
    await until("the refusals", () => refused() === 10, { patienceMs: patienceMs.mail }).catch((thrown) => {
      throw new Error(`${String(thrown)}: ${JSON.stringify(count(attack.map(({ seen }) => status(seen.text))))}`);
    });
    const { text } = attack.find(({ seen }) => seen.text !== "")?.seen ?? { text: "" };
    expect(text).toMatch(/\r\nRetry-After: 30\r\n/i);
    expect(text).toMatch(/451 4\.3\.2 busy/);
    await acceptedBeside(() => unanswered(attack));
    const [hidden, unfinished] = [await hiddenBytes(), await unfinishedBytes()];
    console.log(`held meanwhile: ${mebibytes(hidden)} by nginx, ${mebibytes(unfinished)} in Postfix's queue`);
    expect(hidden).toBe(0);
    expect(unfinished).toBeLessThan(128 * 2 ** 20);
  } finally {
    clearInterval(trickle);
  }
});

test("a message that comes too slowly is broken off, and nothing of it is left", async () => {
  const first = begin(strangers[0] ?? "");
  const trickle = setInterval(() => first.socket.write("x\r\n"), 1000);
  try {
    await until("the end of it", () => status(first.seen.text) === "408", { patienceMs: patienceMs.client });
  } finally {
    clearInterval(trickle);
  }
  await until("nothing left", async () => (await unfinishedBytes()) < 2 ** 16);
  expect(await waitingMails(pod)).toBe(0);
});

test("signatures whose name server is silent: others are not delayed, and each is told to come again", async () => {
  let running = true;
  let asking = 0;
  const answers: string[] = [];
  const attack = Array.from({ length: 30 }, async () => {
    while (running) {
      // each domain is one that nobody has asked for yet
      const domain = `${randomName(8)}.x.${silentDomain}`;
      const from = `x@${domain}`;
      const data = encryptedMessage({ from, to: [bob] });
      const body = await peer.signed(data, domain);
      asking++;
      const page = await postMail(pod, { from, to: [bob], body, preamble: proxyV2(strangers[0] ?? "") });
      asking--;
      answers.push(`${page.status} ${page.body.slice(0, 9)}`);
    }
  });
  try {
    await until("the first answers", () => answers.length > 0, { patienceMs: patienceMs.mail });
    await acceptedBeside(() => asking > 0);
  } finally {
    running = false;
    await Promise.all(attack);
  }
  console.log(`its answers: ${JSON.stringify(count(answers))}`);
  expect(Object.keys(count(answers)).every((each) => /^(400 451 |503 451 )/.test(each))).toBe(true);
});

test("requests that wait with as large headers as there may be: little memory, and others are not delayed", async () => {
  const before = await pod.memory();
  for (const client of strangers) for (let at = 0; at < 10; at++) begin(client);
  // 1,000 recipients are 105 kB
  const to = Array.from({ length: 1000 }, (_, at) => `${"x".repeat(60)}${String(at).padStart(4, "0")}@${domain}`);
  const attack = strangers.flatMap((client) => Array.from({ length: 40 }, () => begin(client, { to })));
  await until("the refusals", () => attack.filter(({ seen }) => status(seen.text) === "503").length >= 40, {
    patienceMs: patienceMs.mail,
  });
  await acceptedBeside(() => unanswered(attack));

  const during = await pod.memory();
  const more = (name: "relay" | "web") => during[name] - before[name];
  console.log(`memory meanwhile: relay +${mebibytes(more("relay") * 1024)}, web +${mebibytes(more("web") * 1024)}`);
  console.log(`their answers: ${JSON.stringify(count(attack.map(({ seen }) => status(seen.text))))}`);
  expect(more("relay")).toBeLessThan(64 * 1024);
  expect(more("web")).toBeLessThan(64 * 1024);
});

test("headers beyond what the recipients need are refused", async () => {
  const { seen } = begin(honest, { more: `X-More: ${"x".repeat(5000)}\r\n` });
  await until("an answer", () => status(seen.text) === "431");
  const larger = begin(honest, { more: `X-More: ${"x".repeat(7000)}\r\n`.repeat(20) });
  await until("an answer", () => ["400", "431"].includes(status(larger.seen.text)));
});

test.each([
  { what: "somebody else's recipient", to: ["y@elsewhere.test"], more: "", length: 20_000_000, answer: "400" },
  { what: "no recipient", to: [], more: "", length: 20_000_000, answer: "400" },
  { what: "too large a message", to: undefined, more: "", length: 200_000_000, answer: "413" },
])("HTTP/1.1: $what is refused before the body", async ({ to, more, length, answer }) => {
  const { socket, seen } = begin(honest, { ...(to && { to }), more, length });
  await until("the answer", () => status(seen.text) === answer);
  socket.write("x".repeat(1_000_000));
  expect(await hiddenBytes()).toBe(0);
});

test("HTTP/2: a refusal before the body, and one in the middle of it", async () => {
  const session = connectHttp2(`https://${direct.host}`, { rejectUnauthorized: false });
  session.on("error", () => undefined);
  const account = await newAccount(direct);
  const post = (to: string, bytes: string) =>
    new Promise<string>((resolve, reject) => {
      const stream = session.request(
        { ":method": "POST", ":path": "/mxdeliv", "x-mail-from": "x@a.test", "x-mail-to": to },
        { endStream: false },
      );
      let [code, text] = ["", ""];
      stream.on("response", (head) => (code = String(head[":status"])));
      stream.on("data", (chunk) => (text += chunk));
      stream.on("end", () => resolve(`${code} ${text}`));
      stream.on("error", reject);
      stream.write(bytes);
    });
  try {
    expect(await post("y@elsewhere.test", "")).toMatch(/^400 554 5\.7\.1 /);
    expect(await post("y@elsewhere.test", "x".repeat(3_000_000))).toMatch(/^400 554 5\.7\.1 /);
    expect(await post(account, `a lone LF\n${"x".repeat(3_000_000)}`)).toBe("400 500 Invalid DATA\n");
  } finally {
    session.destroy();
  }
});
