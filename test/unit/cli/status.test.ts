import { expect, test } from "vitest";
import type { Condition, WrittenServer } from "../../../src/api/chatmail-server.ts";
import { apiVersion, chatmailServer } from "../../../src/api/names.ts";
import { isWrong, statusPage, statusTable, summaryOf, worstFirst } from "../../../src/cli/views/status.ts";

const now = new Date("2026-11-29T12:00:00Z");
const lastTransitionTime = "2026-11-29T10:00:00Z";
const paint = (tone: string, text: string) => `<${tone}>${text}</>`;
const plain = (_: string, text: string) => text;

function condition(type: string, status: Condition["status"], reason: string, message = `${reason} it is`): Condition {
  return { type, status, reason, message, lastTransitionTime };
}

function server(name: string, ...conditions: Condition[]): WrittenServer {
  const metadata = { name, namespace: "chatmail", uid: name, generation: 1, creationTimestamp: "2026-11-24T12:00:00Z" };
  return {
    apiVersion,
    kind: chatmailServer.kind,
    metadata,
    spec: { domain: `${name}.example.org` },
    status: { conditions, dns: { required: "5/6" }, relay: { version: "1.4.0" } },
  };
}

const ready = condition("Ready", "True", "Serving");
const settled = condition("Reconciling", "False", "Settled");

test.each([
  { when: "all is well", given: [ready, settled], level: "fine", wrong: false, first: undefined },
  {
    when: "a person has to act",
    given: [condition("Ready", "False", "VolumeLost"), condition("Stalled", "True", "VolumeLost")],
    level: "act",
    wrong: true,
    first: "VolumeLost",
  },
  {
    when: "only an edit helps, before the operator calls it stalled",
    given: [condition("Ready", "False", "SpecInvalid")],
    level: "act",
    wrong: true,
    first: "SpecInvalid",
  },
  {
    when: "the pod starts",
    given: [condition("Ready", "False", "PodPending"), condition("Reconciling", "True", "PodPending")],
    level: "wait",
    wrong: true,
    first: "PodPending",
  },
  {
    when: "it serves, and records are missing",
    given: [ready, condition("DNSReady", "False", "RecordsIncomplete")],
    level: "aside",
    wrong: false,
    first: "RecordsIncomplete",
  },
  {
    when: "registration is closed on purpose",
    given: [ready, condition("AcceptingAccounts", "False", "Closed")],
    level: "fine",
    wrong: false,
    first: undefined,
  },
  {
    when: "a newer operator has a reason of its own",
    given: [condition("Ready", "False", "Bewitched")],
    level: "wait",
    wrong: true,
    first: "Bewitched",
  },
  { when: "no operator has seen it", given: [], level: "wait", wrong: true, first: "NotSeen" },
])("$when: $level", ({ given, level, wrong, first }) => {
  const summary = summaryOf(server("nine", ...given));
  expect(summary.level).toBe(level);
  expect(isWrong(summary)).toBe(wrong);
  expect(summary.problems[0]?.reason).toBe(first);
});

test("what keeps it from serving comes before what a person could do beside it", () => {
  const { problems } = summaryOf(
    server(
      "nine",
      condition("DNSReady", "False", "RecordsIncomplete"),
      condition("Ready", "False", "DKIMKeyLost"),
      condition("ExpiryHealthy", "False", "ExpiryFailed"),
      condition("Stalled", "True", "DKIMKeyLost"),
    ),
  );
  expect(problems.map(({ reason }) => reason)).toEqual(["DKIMKeyLost", "RecordsIncomplete", "ExpiryFailed"]);
});

const three = [
  server("ant", ready),
  server("bee", condition("Ready", "False", "PodPending")),
  server(
    "cow",
    condition("Ready", "False", "VolumeLost", "the volume is \u001b[2Jgone"),
    condition("Stalled", "True", "VolumeLost", "the volume is \u001b[2Jgone"),
  ),
];

test("the table has the worst first, and below it what is wrong", () => {
  const text = statusTable(worstFirst(three.map(summaryOf)), { paint: plain, now, wide: false, allNamespaces: false });
  const lines = text.split("\n");
  expect(lines[0]).toBe("NAME   DOMAIN            READY   REASON       DNS   VERSION   AGE");
  expect(lines[1]).toBe("cow    cow.example.org   False   VolumeLost   5/6   1.4.0     5d");
  expect(lines.slice(2, 4).map((line) => line.split(" ")[0])).toEqual(["bee", "ant"]);
  expect(lines.slice(5)).toEqual(["cow: the volume is �[2Jgone", "bee: PodPending it is", ""]);
});

test("of all namespaces each is named with its own, and colours do not shift columns", () => {
  const options = { paint, now, wide: true, allNamespaces: true };
  const text = statusTable(worstFirst(three.map(summaryOf)), options);
  expect(text).toMatch(/^NAMESPACE {3}NAME.*MESSAGE$/m);
  expect(text).toContain("<bad>False</>");
  expect(text).not.toContain("\u001b");
});

test("the page of one server says who has to act, and where more is written", () => {
  const text = statusPage(three[2] as WrittenServer, { paint: plain, now, columns: 60 });
  expect(text).toMatch(/^cow \(cow\.example\.org\) needs you\n/);
  expect(text).toContain("VolumeLost (Stalled, you have to act)");
  expect(text).toContain("docs/troubleshooting.md#volumelost");
  expect(text).toContain("version:      1.4.0");
  expect(text).not.toContain("\u001b");
});
