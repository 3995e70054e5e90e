/**
 * The plan in a real pod: an edit is in force in seconds and ends no session; a plan that somebody
 * can't use is used by nobody.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ports } from "../../src/mail/ports.ts";
import { partFolders } from "../../src/pod/files.ts";
import type { WrittenPlan } from "../../src/pod/plan.ts";
import { planHash } from "../../src/pod/plan-files.ts";
import { planText } from "../../src/pod/plan-of.ts";
import { password, planOnAnyLoad } from "../helpers/accounts.ts";
import { askHttps } from "../helpers/https.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { encryptedMessage, randomName } from "../helpers/messages.ts";
import { type RelayPod, startRelayPod } from "../helpers/relay-pod.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";
import { patienceMs, until } from "../helpers/until.ts";

const newAddress = (pod: RelayPod) => `${randomName(9)}@${pod.domain}`;
/** What no schema of ours forbids, and Dovecot can't count. */
const tooMany = { connections: { imap: 2 ** 40 } };

async function sizeLimit(pod: RelayPod): Promise<string | undefined> {
  const smtp = await SmtpClient.ready(pod.at(ports.submissions));
  const { text } = await smtp.say("EHLO client.test");
  await smtp.quit();
  return /SIZE (\d+)/.exec(text)?.[1];
}

const login = async (pod: RelayPod, user: string) =>
  ImapClient.ready(pod.at(ports.imaps), user, password).then(
    () => "in",
    (thrown: unknown) => String(thrown),
  );

describe("a pod that runs", () => {
  let pod: RelayPod;
  beforeAll(async () => {
    pod = await startRelayPod({ domain: "_planned.test" });
  });
  afterAll(() => pod?.remove());

  test("an edit of every kind is in force without a new pod; who is connected notices nothing", async () => {
    const [from, to] = [newAddress(pod), newAddress(pod)];
    const idlers = await Promise.all(
      [ports.imaps, ports.https].map(async (port) => {
        const client = await ImapClient.ready(pod.at(port), to, password);
        await client.say("SELECT INBOX");
        return client.idle();
      }),
    );
    const half = await SmtpClient.ready(pod.at(ports.submissions), from, password);
    for (const step of [`MAIL FROM:<${from}>`, `RCPT TO:<${to}>`, "DATA"])
      expect((await half.say(step)).code).toBeLessThan(400);
    expect(await sizeLimit(pod)).toBe(String(30 * 2 ** 20));

    await pod.change({
      accounts: { registration: "Closed", mailboxQuota: "100Mi", createBurst: 17 },
      messages: { maxSize: "5Mi", deleteAfterDays: 3, deleteLargeAfterDays: 2 },
      privacy: { postal: "Nine Street 9" },
      services: { push: { enabled: false } },
      network: { connections: { submission: 300, perClient: 200 } },
    });
    // all of the pod says that it goes by it; Postfix's running processes end with their session
    await until("Postfix to have the new size", async () => (await sizeLimit(pod)) === String(5 * 2 ** 20));
    const quota = async () => {
      const client = await ImapClient.ready(pod.at(ports.imaps), to, password);
      const { untagged } = await client.say("GETQUOTAROOT INBOX");
      await client.logout();
      return untagged.join("\n").includes(` ${100 * 1024})`);
    };
    await until("Dovecot to have the new quota", quota);
    expect(await login(pod, newAddress(pod))).toMatch(/No new addresses|closed|AUTHENTICATIONFAILED/i);
    expect((await askHttps(pod, { path: "/privacy.html" })).body).toContain("Nine Street 9");
    expect((await askHttps(pod, { path: "/info.html" })).body).toContain("<dd>3 days</dd>");
    const capable = await ImapClient.ready(pod.at(ports.imaps), to, password);
    expect((await capable.say("CAPABILITY")).untagged.join(" ")).not.toContain("XDELTAPUSH");

    // as if nothing had been
    expect(await half.finish(encryptedMessage({ from, to: [to] }))).toMatchObject({ code: 250 });
    for (const idle of idlers) {
      let line = "";
      while (!line.endsWith(" EXISTS")) line = await idle.next();
      expect(line).toBe("* 1 EXISTS");
      expect((await idle.done()).status).toBe("OK");
    }
  });

  test("Postfix need not wait until its files are old enough to be whole", async () => {
    const stat = await pod.exec("postfix", "stat", "-L", "-c", "%Y %Z", `${partFolders.postfix}/main.cf`);
    const [changed = 0, written = 0] = stat.split(" ").map(Number);
    // it reads a file again and again that was changed less than two seconds before
    expect(written - changed).toBeGreaterThan(2);
  });

  test("one that is for newer images, or that Dovecot can't use, is used by nobody, and the next good one is", async () => {
    const before = (await pod.planStatus())?.used;
    const open = { domain: pod.domain, accounts: { registration: "Open" as const, ...planOnAnyLoad } };
    for (const [plan, says] of [
      [{ version: 2, domains: [open] }, /version 2/],
      [{ version: 1, domains: [open], ...tooMany }, /^dovecot: /],
    ] satisfies [WrittenPlan, RegExp][]) {
      const text = planText(plan);
      pod.givePlan(text);
      await until("the pod to say why not", async () => (await pod.planStatus())?.given === planHash(text));
      await until("a problem", async () => says.test((await pod.planStatus())?.problem ?? ""), {
        patienceMs: patienceMs.client,
      });
      expect((await pod.planStatus())?.used).toBe(before);
      // neither the daemon, which could have used it, nor Postfix has taken it
      expect(await login(pod, newAddress(pod))).not.toBe("in");
      expect(await sizeLimit(pod)).toBe(String(5 * 2 ** 20));
    }
    // with what an image of today doesn't know
    const newer = { version: 1, carrierPigeons: 3, domains: [{ ...open, webmail: true }] };
    const text = planText(newer);
    pod.givePlan(text);
    await until("the new plan to be used", async () => (await pod.planStatus())?.used === planHash(text), {
      patienceMs: patienceMs.client,
    });
    expect((await pod.planStatus())?.problem).toBeUndefined();
    expect(await login(pod, newAddress(pod))).toBe("in");
  });

  test("a container that starts anew, and a daemon that does, go by the newest plan", async () => {
    await pod.change({ messages: { maxSize: "7Mi" } });
    for (const name of ["postfix", "web", "relay"] as const) {
      await pod.stop(name);
      await pod.start(name);
    }
    expect(await sizeLimit(pod)).toBe(String(7 * 2 ** 20));
    await pod.change({ messages: { maxSize: "6Mi" } });
    await until("Postfix to have the new size", async () => (await sizeLimit(pod)) === String(6 * 2 ** 20));
  });

  test.each([
    {
      what: "largest",
      spec: {
        accounts: {
          usernameMinLength: 64,
          usernameMaxLength: 64,
          passwordMinLength: 100,
          sendRatePerMinute: 10_000,
          sendBurst: 10_000,
          sendSizePerMinute: "1Ti",
          sendSizeBurst: "1Ti",
          createRatePerMinute: 10_000,
          createBurst: 10_000,
          mailboxQuota: "1Ti",
          deleteInactiveAfterDays: 3650,
        },
        messages: { maxSize: "512Mi" },
        storage: { size: "100Ti" },
        network: { connections: { imap: 100_000, submission: 10_000, perClient: 100_000 } },
      },
    },
    {
      what: "smallest",
      spec: {
        accounts: {
          usernameMinLength: 1,
          usernameMaxLength: 1,
          passwordMinLength: 8,
          sendRatePerMinute: 1,
          sendBurst: 1,
          sendSizePerMinute: "64Ki",
          sendSizeBurst: "1Mi",
          createRatePerMinute: 1,
          createBurst: 1,
          mailboxQuota: "10Mi",
          deleteInactiveAfterDays: 1,
        },
        messages: { maxSize: "1Mi", deleteAfterDays: 1, deleteLargeAfterDays: 1 },
        storage: { size: "100Mi", reservedForMailboxes: "1Mi" },
        network: { connections: { imap: 10, submission: 10, perClient: 50 } },
      },
    },
  ])("the $what values that a spec may have can be used", async ({ spec }) => {
    await pod.change(spec);
    expect((await pod.planStatus())?.problem).toBeUndefined();
  });
});

const good = planText({
  version: 1,
  domains: [{ domain: "_planned.test", accounts: planOnAnyLoad, messages: { maxBytes: 9 * 2 ** 20 } }],
});
const bad = {
  "is no JSON": "{",
  "is for newer images": planText({ version: 2, domains: [{ domain: "_planned.test" }] }),
  "Dovecot can't use": planText({
    version: 1,
    domains: [{ domain: "_planned.test", messages: { maxBytes: 8 * 2 ** 20 } }],
    ...tooMany,
  }),
};

describe.each(Object.entries(bad))("a new pod with a plan that %s", (_, text) => {
  test("goes by the last good one, all of it, and says so", async () => {
    const pod = await startRelayPod({ domain: "_planned.test", plan: text, lastPlan: good });
    try {
      const settled = async () => (await pod.planStatus())?.used === planHash(good);
      await until("everybody to be at the last good plan", settled, { patienceMs: patienceMs.client });
      expect(await pod.planStatus()).toMatchObject({ given: planHash(text), problem: expect.any(String) });
      await until("Postfix too", async () => (await sizeLimit(pod)) === String(9 * 2 ** 20));
      expect((await askHttps(pod, { path: "/info.html" })).body).toContain(">9\u00a0MiB<");
    } finally {
      await pod.remove();
    }
  });

  test("and no earlier one serves nothing, says why, and serves once there is a good one", async () => {
    const pod = await startRelayPod({ domain: "_planned.test", plan: text, unready: true, restarts: true });
    try {
      const said = async () =>
        (await pod.logs()).includes("the plan can't be used, and there is no earlier one. It was: ");
      await until("somebody to say why", said, { patienceMs: patienceMs.client });
      pod.givePlan(good);
      const settled = async () => (await pod.planStatus().catch(() => undefined))?.used === planHash(good);
      await until("everybody to be at the good plan", settled, { patienceMs: 60_000, everyMs: 250 });
      // each has reported its configuration; Dovecot may not accept connections yet
      await pod.ready();
      expect(await login(pod, newAddress(pod))).toBe("in");
    } finally {
      await pod.remove();
    }
  });
});
