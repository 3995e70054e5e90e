/**
 * What is made once and kept: judged and decided here, read and made in
 * test/services/operator-stories.test.ts.
 */
import { describe, expect, test } from "vitest";
import { makeSelfSigned } from "../../../../src/certificates/self-signed.ts";
import { makeEd25519Key, publicDkimKey } from "../../../../src/dns/dkim-key.ts";
import { inviteTokenIn } from "../../../../src/mail/invite.ts";
import { foundIn, toMake } from "../../../../src/operator/identity/read.ts";
import { identitySecret, metadataPatch, textsIn } from "../../../../src/operator/identity/secret.ts";
import { type IdentityName, identities, identityNames, type Texts } from "../../../../src/operator/identity/table.ts";
import { aServer, type SpecInput } from "../../../helpers/a-server.ts";
import { present } from "../../../helpers/identities.ts";

const now = new Date("2026-11-23T00:00:00Z");
const server = aServer({ domain: "_nine.test" });
const found = (name: IdentityName, texts: Texts) => foundIn(server, name, identitySecret(server, name, texts), now);
const askedFor = (spec: SpecInput) => {
  const asked = aServer(spec).spec;
  return identityNames.filter((name) => identities[name].isFor(asked));
};

test.each(identityNames)("%s that was made is present, and each is another", async (name) => {
  const made = await Promise.all([1, 2].map(async () => identities[name].make("_nine.test", now, server.spec)));
  expect(made[0]).not.toEqual(made[1]);
  expect(found(name, made[0] as Texts).state).toBe("present");
  expect(textsIn(identitySecret(server, name, made[0] as Texts))).toEqual(made[0]);
});

test("names, types and keys are those of the relays that run", async () => {
  const shape = async (name: IdentityName) => {
    const {
      metadata,
      type,
      data = {},
    } = identitySecret(server, name, await identities[name].make("_nine.test", now, server.spec));
    return [metadata.name, type, ...Object.keys(data)];
  };
  expect(await Promise.all(identityNames.map(shape))).toEqual([
    ["nine-tls", "kubernetes.io/tls", "tls.crt", "tls.key"],
    ["nine-turn", "Opaque", "secret"],
    ["nine-invites", "Opaque", "link"],
    ["nine-dkim", "Opaque", "rsa.pem"],
  ]);
});

test.each<{ spec: SpecInput; names: IdentityName[] }>([
  { spec: {}, names: ["tls", "dkim"] },
  { spec: { domain: "192.0.2.7" }, names: ["tls"] },
  { spec: { domain: "nine.example.org" }, names: ["dkim"] },
  { spec: { domain: "nine.example.org", certificate: { source: "SelfSigned" } }, names: ["tls", "dkim"] },
  { spec: { certificate: { source: "Secret", secret: { name: "mine" } } }, names: ["dkim"] },
  { spec: { services: { turn: { enabled: true } } }, names: ["tls", "turn", "dkim"] },
  { spec: { accounts: { registration: "Invite" } }, names: ["tls", "invites", "dkim"] },
  { spec: { accounts: { registration: "Invite", invitesSecretName: "own" } }, names: ["tls", "dkim"] },
])("$spec asks for $names", ({ spec, names }) => {
  expect(askedFor(spec)).toEqual(names);
});

describe("judging", () => {
  const pairOf = async (domain: string, at = now) => {
    const { certificatePem, keyPem } = await makeSelfSigned(domain, at);
    return { "tls.crt": certificatePem, "tls.key": keyPem };
  };

  test.each([
    { when: "it has ended", texts: () => pairOf("_nine.test", new Date("1920-01-01T00:00:00Z")), reason: "Expired" },
    { when: "it is another domain's", texts: () => pairOf("_ten.test"), reason: "Mismatch" },
    {
      when: "its key is missing",
      texts: async () => ({ ...(await pairOf("_nine.test")), "tls.key": "" }),
      reason: "Missing",
    },
    { when: "it is no certificate", texts: async () => ({ "tls.crt": "a", "tls.key": "b" }), reason: "Invalid" },
  ])("a certificate is broken when $when", async ({ texts, reason }) => {
    expect(found("tls", await texts())).toMatchObject({ state: "broken", problem: { reason: `Certificate${reason}` } });
  });

  test.each([{}, { secret: "" }, { secret: " \n" }, { other: "x" }])("a TURN secret of %j is broken", (texts) => {
    expect(found("turn", texts).state).toBe("broken");
  });

  test("invites are counted, and none is as the user has it", () => {
    const texts = { a: "https://_nine.test/i/k3v9k3v9", b: "k3v9k3v9x", c: "short" };
    expect(found("invites", texts)).toMatchObject({ state: "present", value: 2 });
    expect(found("invites", {})).toMatchObject({ state: "present", value: 0 });
  });

  test("the first invite is a link to hand out", async () => {
    const { link = "" } = await identities.invites.make("_nine.test", now, server.spec);
    expect(link).toMatch(/^https:\/\/_nine\.test\/i\/[a-z2-9]{20}$/);
    expect(inviteTokenIn(link)).toHaveLength(20);
  });

  test("a DKIM Secret without its key is broken; with a second key, both are for the DNS", async () => {
    const texts = await identities.dkim.make("_nine.test", now, server.spec);
    expect(publicDkimKey(texts["rsa.pem"] ?? "")).toMatchObject({ type: "rsa" });
    for (const broken of [{}, { "rsa.pem": "no key" }, { "ed25519.pem": await makeEd25519Key() }])
      expect(found("dkim", broken)).toMatchObject({ state: "broken", problem: { reason: "DkimKeyInvalid" } });
    const both = found("dkim", { ...texts, "ed25519.pem": await makeEd25519Key(), "note.txt": "mine" });
    expect(both).toMatchObject({
      state: "present",
      value: { keys: [{ selector: "chatmail" }, { selector: "chatmail-ed25519" }] },
    });
  });

  test("a Secret that was not made for the server is foreign, whatever is in it", async () => {
    const secret = identitySecret(aServer({}, { name: "ten" }), "turn", { secret: "x" });
    expect(foundIn(server, "turn", secret, now)).toMatchObject({
      state: "foreign",
      problem: { reason: "ApplyConflict" },
    });
  });
});

describe("deciding", () => {
  const broken = { ...present(undefined), state: "broken" } as const;
  const absent = { state: "absent" } as const;

  test.each([
    { when: "all is there", is: { tls: present(0), dkim: present(0) }, made: [] },
    { when: "nothing is asked for", is: {}, made: [] },
    {
      when: "all is missing",
      is: { dkim: absent, invites: absent, turn: absent, tls: absent },
      made: ["tls", "turn", "invites", "dkim"],
    },
    { when: "all is broken", is: { tls: broken, dkim: broken, invites: broken, turn: broken }, made: ["tls", "turn"] },
    { when: "somebody else has the names", is: { tls: { ...broken, state: "foreign" }, dkim: present(0) }, made: [] },
  ])("$made is made when $when", ({ is, made }) => {
    expect(toMake(is as Parameters<typeof toMake>[0])).toEqual(made);
  });
});

describe("labels, domain and owner of a Secret", () => {
  const own = identitySecret(server, "turn", { secret: "x" });
  const changed = (metadata: object) => ({ ...own, metadata: { ...own.metadata, ...metadata } });
  const owner = { apiVersion: "chatmail.dev/v1alpha1", kind: "ChatmailServer", name: "nine" };
  const other = { apiVersion: "v1", kind: "ConfigMap", name: "theirs", uid: "1" };

  test.each([
    { when: "all is as it has to be", metadata: {}, patch: undefined },
    { when: "others added to it", metadata: { ownerReferences: [other] }, patch: undefined },
    {
      when: "a label is another and the domain is missing",
      metadata: { labels: {}, annotations: { ...own.metadata.annotations, "chatmail.dev/domain": "", mine: "1" } },
      patch: {
        labels: { "chatmail.dev/server": "nine" },
        annotations: { "chatmail.dev/domain": "_nine.test" },
      },
    },
    {
      when: "it belongs to a server that it has to outlive",
      metadata: { ownerReferences: [other, { ...owner, uid: server.metadata.uid }] },
      patch: { ownerReferences: [other] },
    },
  ])("change by $patch when $when", ({ metadata, patch }) => {
    expect(metadataPatch(server, changed(metadata))).toEqual(patch);
  });

  test("nobody owns it while its server lives, whatever becomes of it then", () => {
    const deleting = aServer({ storage: { reclaimPolicy: "Delete" } });
    expect(metadataPatch(deleting, own)).toBeUndefined();
    const before = [{ ...owner, uid: server.metadata.uid }];
    expect(metadataPatch(deleting, changed({ ownerReferences: before }))).toEqual({ ownerReferences: [] });
  });
});
