import { describe, expect, test } from "vitest";
import { Redactor } from "../../../src/cli/report/redact.ts";
import { countsIn, jobOf, jobState } from "../../../src/cli/views/cron-job.ts";
import { destinationsOf, isQueueId, queuedMail, queueTable } from "../../../src/cli/views/queue.ts";
import type { CronJob } from "../../../src/kube/kinds.ts";

const now = new Date("2026-11-29T12:00:00Z");
const seconds = (ago: number) => now.getTime() / 1_000 - ago;

describe("queue", () => {
  // as Postfix 3.10 writes it, but for the addresses
  const lines = [
    {
      queue_name: "deferred",
      queue_id: "4fXyZ1abcd",
      arrival_time: seconds(7_200),
      message_size: 5_600,
      sender: "a@nine.example.org",
      recipients: [
        {
          address: "b@slow.example",
          delay_reason: "connect to mx.slow.example[192.0.2.1]:25: Connection timed out (b@slow.example)",
        },
        { address: "c@SLOW.example", delay_reason: "x" },
      ],
    },
    {
      queue_name: "active",
      queue_id: "4fXyZ2abcd",
      arrival_time: seconds(5),
      message_size: 100,
      sender: "a@nine.example.org",
      recipients: [{ address: "b@slow.example" }, { address: "d@quick.example" }],
    },
  ];
  const text = `${lines.map((each) => JSON.stringify(each)).join("\n")}\n`;

  test("a message counts once for each domain, and no address is shown", () => {
    const destinations = destinationsOf(queuedMail(text));
    expect(destinations.map(({ domain, messages, bytes }) => `${domain} ${messages} ${bytes}`)).toEqual([
      "slow.example 2 5700",
      "quick.example 1 100",
    ]);
    const shown = queueTable(destinations, { paint: (_, word) => word, now });
    expect(shown).toMatch(/^slow\.example +2 +5700 B +2h +connect to mx\.slow\.example/m);
    expect(shown).toMatch(/^quick\.example +1 +100 B +5s$/m);
    expect(JSON.stringify(destinations) + shown).not.toMatch(/\b[abcd]@/);
  });

  test("an empty one, and what is a queue id", () => {
    expect(queueTable(destinationsOf(queuedMail("")), { paint: (_, word) => word, now })).toBe("the queue is empty\n");
    expect(["4fXyZ1abcd", "ALL", "-", "a b", "ABC123DEF4"].map(isQueueId)).toEqual([true, false, false, false, true]);
  });
});

describe("expire", () => {
  const cronJob: CronJob = {
    apiVersion: "batch/v1",
    kind: "CronJob",
    metadata: { name: "nine-expiry", namespace: "chatmail", uid: "u" },
    spec: {
      schedule: "0 3 * * *",
      jobTemplate: {
        metadata: { labels: { a: "b" } },
        spec: { backoffLimit: 2, template: { spec: { containers: [] } } },
      },
    },
  };
  test("the job is that of the CronJob, belongs to it, and does not stay", () => {
    expect(jobOf(cronJob, "abc123")).toMatchObject({
      metadata: {
        name: "nine-expiry-now-abc123",
        namespace: "chatmail",
        labels: { a: "b" },
        ownerReferences: [{ kind: "CronJob", uid: "u" }],
      },
      spec: { backoffLimit: 2, ttlSecondsAfterFinished: 3_600 },
    });
  });
  test("how it ended", () => {
    const with_ = (type: string, message?: string) => ({
      status: { conditions: [{ type, status: "True", ...(message && { message }) }] },
    });
    expect(jobState({})).toBe("runs");
    expect(jobState(with_("Complete"))).toBe("done");
    expect(jobState(with_("Failed", "deadline"))).toEqual({ failed: "deadline" });
  });
  test("its counts", () => {
    const line = JSON.stringify({ level: 30, msg: "expiry finished", accounts: 3, messagesRemoved: 2, folders: "x" });
    expect(countsIn(["no JSON", line])).toEqual({ accounts: 3, messagesRemoved: 2 });
    expect(countsIn(["no JSON"])).toBeUndefined();
  });
});

describe("report", () => {
  test.each([
    { was: "mail of k3v9hx7m2@nine.example.org", is: "mail of <address-1>@nine.example.org" },
    { was: 'to <"strange one"@nine.example.org>', is: "to <<address-1>@nine.example.org>" },
    { was: "user%40nine.example.org", is: "<address-1>%40nine.example.org" },
    { was: "https://nine.example.org/i/k3v9hx7m2w5ntd4qp8ra.", is: "https://nine.example.org/i/<invite-1>." },
    {
      was: "dcaccount:https://nine.example.org/new?i=choir-2026",
      is: "dcaccount:https://nine.example.org/new?i=<invite-1>",
    },
    { was: "Authorization: Bearer abcdef.ghijkl", is: "Authorization: Bearer <token-1>" },
    { was: "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJr.sig", is: "<token-1>" },
    { was: 'password="hunter2hunter2"', is: 'password="<secret-1>"' },
    { was: "{SHA512-CRYPT}$6$salt$hash", is: "{SHA512-CRYPT}<hash-1>" },
    { was: "from 203.0.113.9 and [2001:db8::9], again 203.0.113.9", is: "from <ip-1> and [<ip-2>], again <ip-1>" },
    { was: "at ::1, 12:34:56 and v1.35.2.1 stays 1.2.3", is: "at <ip-1>, 12:34:56 and v1.35.2.1 stays 1.2.3" },
    { was: "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\nx", is: "<key-1>\nx" },
    {
      was: "2026-11-29T12:00:00.5Z registry.example:5000/relay:1@sha256:abcd",
      is: "2026-11-29T12:00:00.5Z registry.example:5000/relay:1@sha256:abcd",
    },
  ])("$was", ({ was, is }) => {
    expect(new Redactor().text(was)).toBe(is);
  });

  test("fields that hold secrets, and those that only name one", () => {
    const value = {
      privacy: { password: "hunter2", secretName: "nine-tls", secretRef: { name: "x" } },
      list: ["a@b.example", 5, null, true],
    };
    expect(new Redactor().value(value)).toEqual({
      privacy: { password: "<secret-1>", secretName: "nine-tls", secretRef: { name: "x" } },
      list: ["<address-1>@b.example", 5, null, true],
    });
  });
});
