/**
 * The contract between operator and image: what is written, what is understood, and what is refused
 * with which words.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ChatmailServerSpec } from "../../../src/api/chatmail-server.ts";
import { mainDomain, Plan, PlanError, parsePlan, planVersion } from "../../../src/pod/plan.ts";
import { planOf, planText } from "../../../src/pod/plan-of.ts";

const fixture = (name: string) => readFileSync(join(import.meta.dirname, "../../fixtures/plan", name), "utf8");
const specOf = (domain: string, fields: object = {}) => ChatmailServerSpec.parse({ domain, ...fields });
const textOf = (...args: Parameters<typeof specOf>) => planText(planOf(specOf(...args)));
const parsed = (plan: unknown) => parsePlan(JSON.stringify(plan));
const minimal = { version: 1, domains: [{ domain: "nine.example.org" }] };

const everything = {
  accounts: {
    registration: "Invite",
    usernameMinLength: 3,
    usernameMaxLength: 30,
    passwordMinLength: 20,
    sendRatePerMinute: 11,
    sendBurst: 12,
    sendSizePerMinute: "13Mi",
    sendSizeBurst: "14Mi",
    createRatePerMinute: 15,
    createBurst: 16,
    mailboxQuota: "170Mi",
    deleteInactiveAfterDays: 26,
    refuseNew: { loadPerCoreAbove: 20, memoryBelow: "21Mi", diskBelow: "22Mi" },
  },
  messages: { maxSize: "23Mi", deleteAfterDays: 6, deleteLargeAfterDays: 5 },
  privacy: { postal: "27 Street\nTown", mail: "a@b.example", dataOfficer: "28", supervisor: "29" },
  website: { configMapName: "pages" },
  services: {
    push: { enabled: false, url: "https://push.example/30" },
    turn: { enabled: true, firstRelayPort: 31_000, relayPortCount: 32 },
    iroh: { url: "https://iroh.example/33" },
    appVersions: { configMapName: "versions" },
  },
  storage: { size: "34Gi", reservedForMailboxes: "35Mi" },
  certificate: { source: "SelfSigned" },
  network: {
    dnssecResolvers: ["192.0.2.36"],
    proxyProtocol: { trustedNetworks: ["192.0.2.37/32"] },
    connections: { imap: 18, submission: 19, perClient: 138 },
    privatePeers: ["10.39.0.0/16"],
    refusedPeers: ["2001:db8:40::/48"],
  },
};

/**
 * These files are what operators of this format have written. They stay: an operator that writes
 * other bytes for the same spec changes every relay of a cluster on the day it is upgraded, and an
 * image that reads them in another way changes every relay on the day it is.
 */
describe("the format, version 1", () => {
  test("a server that is being deleted takes no mail and no accounts, whatever its spec says", () => {
    const spec = specOf("a.test", { accounts: { registration: "Open" } });
    expect(planOf(spec, { closing: true })).toEqual({
      version: 1,
      closing: true,
      domains: [{ domain: "a.test", accounts: { registration: "Closed" } }],
    });
  });

  test.each([
    { name: "default.json", text: textOf("nine.example.org") },
    { name: "everything.json", text: textOf("nine.example.org", everything) },
  ])("$name is written byte for byte", ({ name, text }) => expect(text).toBe(fixture(name)));

  test("what is left out has its built-in value for ever", () => {
    expect(parsePlan(fixture("default.json"))).toEqual(JSON.parse(fixture("built-in.json")));
  });

  test("what was written is what is read", () => {
    const plan = parsePlan(fixture("everything.json"));
    const [domain] = plan.domains;
    expect(domain?.accounts).toMatchObject({ registration: "Invite", sendBytesBurst: 14 * 2 ** 20, createBurst: 16 });
    expect(domain?.accounts.refuseNew).toEqual({
      loadPerCoreAbove: 20,
      memoryBelowBytes: 21 * 2 ** 20,
      diskBelowBytes: 22 * 2 ** 20,
    });
    expect(plan).toMatchObject({
      connections: { imap: 18, smtp: 19, perClient: 138 },
      reservedBytes: 35 * 2 ** 20,
      dnssec: true,
      turn: { firstRelayPort: 31_000, relayPorts: 32 },
    });
  });
});

test("a plan says nothing of what it does not need to say", () => {
  expect(planOf(specOf("a.test"))).toEqual({ version: 1, domains: [{ domain: "a.test" }] });
  expect(planOf(specOf("a.test", { accounts: { registration: "Closed" } }))).toEqual({
    version: 1,
    domains: [{ domain: "a.test", accounts: { registration: "Closed" } }],
  });
});

test.each([
  { what: "nodes", fields: { scheduling: { nodeSelector: { a: "b" } } } },
  { what: "resources", fields: { resources: { relay: { limits: { memory: "1Gi" } } } } },
  { what: "the image", fields: { image: { reference: "registry.example/relay:9" } } },
  { what: "the Service", fields: { network: { exposure: "NodePort", service: { annotations: { a: "b" } } } } },
  { what: "a larger volume with the same reserve", fields: { storage: { size: "20Gi", reservedForMailboxes: "1Gi" } } },
])("$what is not in the plan", ({ fields }) => expect(textOf("a.test", fields)).toBe(textOf("a.test")));

describe("versions", () => {
  test("a plan of a newer operator is understood without what is new in it", () => {
    const newer = {
      version: 1,
      carrierPigeons: { perHour: 3 },
      domains: [
        {
          domain: "nine.example.org",
          accounts: { registration: "Closed", karma: 5, refuseNew: { moonAbove: 0.5 } },
          webmail: true,
        },
      ],
    };
    const known = { version: 1, domains: [{ domain: "nine.example.org", accounts: { registration: "Closed" } }] };
    expect(parsed(newer)).toEqual(parsed(known));
  });

  test("one that says that an older image must not use it is not used", () => {
    expect(() => parsed({ ...minimal, version: planVersion + 1 })).toThrow(
      new PlanError("it needs an image that knows version 2 of plans; this one knows 1"),
    );
    // whatever else it holds
    expect(() => parsed({ version: 2, domains: { "a.test": {} } })).toThrow("version 2 of plans");
  });
});

test.each([
  { what: "cut off", text: '{"version": 1, "dom', says: "it is not JSON" },
  { what: "empty", text: "", says: "it is not JSON" },
  { what: "no object", text: "null", says: /expected object/ },
  { what: "without a version", text: '{"domains":[{"domain":"a.test"}]}', says: /^version: / },
  { what: "without a domain", text: '{"version":1,"domains":[]}', says: /^domains: / },
  {
    what: "with a domain twice",
    text: '{"version":1,"domains":[{"domain":"a.test"},{"domain":"a.test"}]}',
    says: "domains: name a domain twice",
  },
])("a plan that is $what is refused: $says", ({ text, says }) => {
  expect(() => parsePlan(text)).toThrow(PlanError);
  expect(() => parsePlan(text)).toThrow(says);
});

test.each([
  ["domains.0.domain", { domains: [{ domain: "a.test\nmyorigin = b.test" }] }],
  ["domains.0.domain", { domains: [{ domain: "../../etc" }] }],
  ["domains.0.domain", { domains: [{ domain: "A.test" }] }],
  ["domains.0.accounts.createBurst", { domains: [{ domain: "a.test", accounts: { createBurst: "1; }" } }] }],
  ["domains.0.accounts.quotaBytes", { domains: [{ domain: "a.test", accounts: { quotaBytes: 0 } }] }],
  ["domains.0.services.irohUrl", { domains: [{ domain: "a.test", services: { irohUrl: "https://a b" } }] }],
  ["domains.0.services.push.url", { domains: [{ domain: "a.test", services: { push: { url: "http://a" } } }] }],
  ["proxyProtocol.trustedNetworks.0", { proxyProtocol: { trustedNetworks: ["192.0.2.1; }"] } }],
  ["privatePeers.0", { privatePeers: ["10.0.0.0/8\n"] }],
  ["connections.imap", { connections: { imap: 1.5 } }],
])("%s: nothing in a plan can add a line to a configuration", (path, fields) => {
  expect(() => parsed({ ...minimal, ...fields })).toThrow(`${path}: `);
});

test.each([
  { domains: ["a.test"], main: "a.test" },
  { domains: ["_a.test", "b.test"], main: "_a.test" },
  { domains: ["a.test", "192.0.2.7", "b.test"], main: "192.0.2.7" },
])("of $domains $main stands for the pod", ({ domains, main }) => {
  const plan = Plan.parse({ version: 1, domains: domains.map((domain) => ({ domain })) });
  expect(mainDomain(plan).domain).toBe(main);
});
