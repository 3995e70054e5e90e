/**
 * Refusals that pass look passing: over IMAP, submission and HTTPS, and to a real Delta Chat. And
 * what 300 people behind one address need.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ports } from "../../src/mail/ports.ts";
import { planHash } from "../../src/pod/plan-files.ts";
import { planText } from "../../src/pod/plan-of.ts";
import { DeltaChatClient } from "../helpers/delta-chat.ts";
import { askHttps } from "../helpers/https.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { randomName } from "../helpers/messages.ts";
import { type RelayPod, startRelayPod } from "../helpers/relay-pod.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";
import { until } from "../helpers/until.ts";

const password = "correct horse";
const defaults = { createRatePerMinute: undefined, createBurst: undefined } as const;

async function imapAnswer(pod: RelayPod, user: string): Promise<string> {
  const imap = await ImapClient.open(pod.at(ports.imaps));
  const { status, text } = await imap.login(user, password);
  await imap.logout();
  return status === "OK" ? status : `${status} ${text}`;
}

async function smtpAnswer(pod: RelayPod, user: string): Promise<number> {
  const smtp = await SmtpClient.ready(pod.at(ports.submissions));
  const { code } = await smtp.login(user, password);
  await smtp.quit();
  return code;
}

/** What a Delta Chat says of a first login. */
async function shownByCore(pod: RelayPod): Promise<string> {
  const client = await DeltaChatClient.start("Alice");
  try {
    const at = `ih=${pod.host}&sh=${pod.host}`;
    const link = `dclogin:${randomName(9)}@${pod.domain}?p=${encodeURIComponent(password)}&v=1&ic=3&${at}`;
    return await client.rpc.addTransportFromQr(client.account, link).then(
      () => "joined",
      (thrown: unknown) => String(thrown instanceof Error ? thrown.message : JSON.stringify(thrown)),
    );
  } finally {
    await client.stop();
  }
}

describe.each([
  {
    what: "too much load",
    accounts: {},
    // below any
    loadPerCoreAbove: -1,
    imap: /^NO \[UNAVAILABLE\] This server takes no new addresses just now, please try another one or again in 60 seconds$/,
    said: "This server takes no new addresses just now, please try another one or again in 60 seconds",
  },
  {
    what: "too many of one client",
    accounts: { createRatePerMinute: 1, createBurst: 1 },
    loadPerCoreAbove: undefined,
    imap: /^NO \[LIMIT\] Too many new addresses from your network, please try again in \d+ seconds$/,
    said: "Too many new addresses from your network, please try again",
  },
])("$what", ({ accounts, loadPerCoreAbove, imap, said }) => {
  let pod: RelayPod;
  const fresh = () => `${randomName(9)}@${pod.domain}`;
  beforeAll(async () => {
    pod = await startRelayPod({ domain: "_refusals.test", spec: { accounts } });
    if (loadPerCoreAbove !== undefined) {
      const refuseNew = { loadPerCoreAbove };
      const text = planText({ version: 1, domains: [{ domain: pod.domain, accounts: { refuseNew } }] });
      pod.givePlan(text);
      await until("the plan to be used", async () => (await pod.planStatus())?.used === planHash(text));
    }
    // the one turn that there is
    await imapAnswer(pod, fresh());
  });
  afterAll(() => pod?.remove());

  test("IMAP, submission, /new and the page say that it passes", async () => {
    expect(await imapAnswer(pod, fresh())).toMatch(imap);
    expect(await smtpAnswer(pod, fresh())).toBe(454);
    const { status, headers, body } = await askHttps(pod, { path: "/new", method: "POST" });
    expect({ status, body: JSON.parse(body) }).toEqual({
      status: 503,
      body: { reason: expect.stringContaining(said) },
    });
    expect(Number(headers["retry-after"])).toBeGreaterThan(0);
  });

  test("a real Delta Chat shows the sentence", async () => {
    const shown = await shownByCore(pod);
    console.info(`a core shows: ${shown}`);
    expect(shown).toContain(said);
  });
});

describe("300 people behind one address", () => {
  let pod: RelayPod;
  beforeAll(async () => {
    pod = await startRelayPod({ domain: "_class.test", spec: { accounts: defaults } });
  });
  afterAll(() => pod?.remove());

  test("join, fifty at a time, with the built-in limits, and come back; nobody is told of a wrong password", async () => {
    const people = Array.from({ length: 300 }, () => `${randomName(9)}@${pod.domain}`);
    // fifty at a time: more only wait for each other's TLS handshakes
    const all = async () => {
      const answers: string[] = [];
      for (let first = 0; first < people.length; first += 50) {
        const some = people.slice(first, first + 50);
        answers.push(...(await Promise.all(some.map((user) => imapAnswer(pod, user)))));
      }
      return answers;
    };
    const joined = await all();
    const back = await all();
    const refused = [...joined, ...back].filter((answer) => answer !== "OK");
    expect(refused).toEqual([]);
    expect(await imapAnswer(pod, `${randomName(9)}@${pod.domain}`)).toMatch(/^(OK|NO \[LIMIT\])/);
  });
});
