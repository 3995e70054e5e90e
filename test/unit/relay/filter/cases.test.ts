/**
 * Each folder of test/fixtures/filter is a message, what becomes of it in both directions, and why.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import type { MessageFacts } from "../../../../src/relay/filter/inspect.ts";
import { judgeIncoming, judgeOutgoing, senderBecomesNull, type Verdict } from "../../../../src/relay/filter/policy.ts";
import { inspect } from "./as-postfix.ts";

const folder = resolve(import.meta.dirname, "../../../fixtures/filter");

interface Case {
  outgoing: string;
  incoming: string;
  envelope?: { sender?: string; recipients?: string[]; disabled?: string[]; takesCleartext?: string[] };
}

const cases = readdirSync(folder).map((name) => ({
  name,
  why: readFileSync(join(folder, name, "why.md"), "utf8").trim(),
  message: readFileSync(join(folder, name, "message.eml")),
  ...(JSON.parse(readFileSync(join(folder, name, "verdict.json"), "utf8")) as Case),
}));

function envelopeOf({ envelope = {} }: Case) {
  const { sender = "alice1234@chat.example", recipients = ["bob123456@chat.example"] } = envelope;
  const { disabled = [], takesCleartext = [] } = envelope;
  const left = recipients.map((each) => each.toLowerCase()).filter((each) => !disabled.includes(each));
  return { sender, left, disabled, takesCleartext };
}

function says(verdict: Verdict): string {
  if (verdict.kind === "refuse") return verdict.text.trim();
  return verdict.kind === "pass" ? `pass ${verdict.as}` : `discard ${verdict.why}`;
}

function outgoing(facts: MessageFacts, each: Case): string {
  const { sender, left, disabled } = envelopeOf(each);
  return says(judgeOutgoing(facts, { sender, recipients: left, senderIsDisabled: disabled.includes(sender) }));
}

function incoming(facts: MessageFacts, each: Case): string {
  const { sender, left, takesCleartext } = envelopeOf(each);
  const oneMustBeEncrypted = left.some((recipient) => !takesCleartext.includes(recipient));
  const verdict = judgeIncoming(facts, {
    recipientsLeft: left.length,
    oneMustBeEncrypted,
    isFromNobody: sender === "",
  });
  return says(verdict) + (verdict.kind === "pass" && senderBecomesNull(facts, sender) ? " from <>" : "");
}

test("there are cases for every rule", () => expect(cases.length).toBeGreaterThan(60));

describe.each(cases)("$name", (each) => {
  test(`from our users: ${each.outgoing}`, () => expect(outgoing(inspect(each.message), each)).toBe(each.outgoing));
  test(`from other servers: ${each.incoming}`, () => expect(incoming(inspect(each.message), each)).toBe(each.incoming));
  test("the same byte by byte", () => expect(inspect(each.message, () => 1)).toEqual(inspect(each.message)));
  test("says why", () => expect(each.why).not.toBe(""));
});

test("every folder is whole", () => {
  const files = ["message.eml", "verdict.json", "why.md"];
  expect(cases.flatMap(({ name }) => files.filter((file) => !existsSync(join(folder, name, file))))).toEqual([]);
});
