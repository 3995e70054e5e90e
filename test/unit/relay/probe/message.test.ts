import { expect, test } from "vitest";
import { MessageInspector } from "../../../../src/relay/filter/inspect.ts";
import { judgeIncoming, judgeOutgoing } from "../../../../src/relay/filter/policy.ts";
import { ProbeAccounts } from "../../../../src/relay/probe/accounts.ts";
import { probeMessage } from "../../../../src/relay/probe/message.ts";
import { takenApart } from "../filter/as-postfix.ts";
import { limits, settings } from "../settings.ts";

test.each(["chat.example", "_nine.test", "198.51.100.7"])("the filter takes it for encrypted: %s", (domain) => {
  const accounts = new ProbeAccounts(settings({ domains: { [domain]: limits() } }));
  const { sender, recipient } = accounts.open(domain);
  const [from, to] = [sender.address, recipient.address];
  const data = probeMessage({ from, to, messageId: `x@${domain}`, date: new Date(0) });
  // it is sent as it is: no line is doubled at its dot
  expect(data).not.toMatch(/^\./m);
  expect(data.replaceAll("\r\n", "")).not.toMatch(/[\r\n]/);
  const inspector = new MessageInspector();
  const { headers, body } = takenApart(Buffer.from(data));
  for (const { name, value } of headers) inspector.header(name, value);
  inspector.endOfHeaders();
  inspector.body(Buffer.from(body));
  const facts = inspector.finish();
  expect(judgeOutgoing(facts, { sender: from, recipients: [to], senderIsDisabled: false })).toEqual({
    kind: "pass",
    as: "encrypted",
  });
  expect(judgeIncoming(facts, { recipientsLeft: 1, oneMustBeEncrypted: true, isFromNobody: false })).toEqual({
    kind: "pass",
    as: "encrypted",
  });
});
