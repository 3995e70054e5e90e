import { expect, test } from "vitest";
import { ChatmailServerSpec } from "../../../src/api/chatmail-server.ts";
import { isAddressLiteral, isSelfSignedDomain } from "../../../src/api/domain.ts";
import { writtenIssues } from "../../../src/api/resolve.ts";
import { canonicalIPv6, wrongSpecs } from "../../helpers/wrong-specs.ts";

test("a domain is enough; the rest has defaults that suit a public relay", () => {
  expect(ChatmailServerSpec.parse({ domain: "nine.example.org" })).toEqual({
    domain: "nine.example.org",
    management: "Managed",
    accounts: {
      registration: "Open",
      usernameMinLength: 9,
      usernameMaxLength: 9,
      passwordMinLength: 9,
      sendRatePerMinute: 60,
      sendBurst: 10,
      sendSizePerMinute: "10Mi",
      sendSizeBurst: "150Mi",
      createRatePerMinute: 120,
      createBurst: 300,
      mailboxQuota: "500Mi",
      deleteInactiveAfterDays: 90,
      refuseNew: { loadPerCoreAbove: 10, memoryBelow: "200Mi", diskBelow: "1Gi" },
    },
    messages: { maxSize: "30Mi", deleteAfterDays: 20, deleteLargeAfterDays: 7 },
    privacy: {},
    website: {},
    services: {
      push: { enabled: true, url: "https://notifications.delta.chat/notify" },
      turn: { enabled: false, firstRelayPort: 49_152, relayPortCount: 40 },
      iroh: {},
      appVersions: {},
    },
    image: { pullPolicy: "IfNotPresent" },
    updatePolicy: { mode: "Automatic", progressDeadlineSeconds: 300, onFailure: "Rollback" },
    storage: { size: "10Gi", reclaimPolicy: "Retain" },
    dns: { mode: "Manual", onDelete: "Remove", records: "Recommended", ttlSeconds: 300 },
    certificate: { source: "Auto" },
    dkim: { algorithms: ["RSA2048"], selectorPrefix: "chatmail", rotation: { keepOldDays: 7 } },
    network: {
      exposure: "LoadBalancer",
      ipFamilyPolicy: "PreferDualStack",
      policy: { enabled: true },
      service: { allocateNodePorts: true },
      web: { mode: "Direct" },
      connections: { imap: 10_000, submission: 1_000, perClient: 1_500 },
    },
    resources: {},
    scheduling: {},
    pod: {},
    backup: { contents: "Identity", keep: 14 },
  });
});

test.each(wrongSpecs)("refuses a spec in which $when, and says where", ({ spec, path }) => {
  expect(writtenIssues(ChatmailServerSpec, spec).map((issue) => issue.path.join("."))).toContain(path);
});

test.each([
  "nine.example.org",
  "_nine.test",
  "1.2.3.4",
  "a.b",
  "xn--bcher-kva.example",
  `${"a".repeat(63)}.example`,
  ...canonicalIPv6,
])("takes the domain %s", (domain) => {
  expect(ChatmailServerSpec.safeParse({ domain }).success).toBe(true);
});

test.each([
  { domain: "_nine.test", selfSigned: true, literal: false },
  { domain: "203.0.113.9", selfSigned: true, literal: true },
  { domain: "2001:db8::9", selfSigned: true, literal: true },
  { domain: "[ipv6:2001:db8::9]", selfSigned: false, literal: false },
  { domain: "nine.example.org", selfSigned: false, literal: false },
])("$domain: self-signed $selfSigned, address $literal", ({ domain, selfSigned, literal }) => {
  expect([isSelfSignedDomain(domain), isAddressLiteral(domain)]).toEqual([selfSigned, literal]);
});
