import { describe, expect, test } from "vitest";
import { type ChatmailServer, ChatmailServerSpec } from "../../../../src/api/chatmail-server.ts";
import type { LivePod, LiveStatefulSet } from "../../../../src/operator/server/live.ts";
import { memberState } from "../../../../src/operator/server/member.ts";
import { imageOf, renderedOf, renderedText, revisionOf } from "../../../../src/operator/server/rendered.ts";
import { statefulSet } from "../../../../src/operator/server/resources/stateful-set.ts";
import type { Rendered, Update } from "../../../../src/operator/server/revision.ts";
import type { Seen } from "../../../../src/operator/server/seen.ts";
import { type OperatorTarget, updateOf } from "../../../../src/operator/server/update.ts";
import { upToDateVerdict } from "../../../../src/operator/server/verdicts/up-to-date.ts";
import { relayOf, versionOf } from "../../../../src/operator/server/verdicts/update.ts";
import { aServer, type SpecInput } from "../../../helpers/a-server.ts";
import { dkimKeys, facts, present } from "../../../helpers/identities.ts";

const begin = new Date("2026-12-01T00:00:00Z");
const after = (seconds: number) => new Date(begin.getTime() + seconds * 1_000);

interface Operator {
  image: string;
  /** What it gives each server beyond the spec. */
  defaults?: SpecInput;
}

/** A server and its StatefulSet through time, without a cluster. */
class Played {
  server: ChatmailServer;
  operator: Operator = { image: "relay:1" };
  seen: Seen = {
    certificate: { source: "SelfSigned", secretName: "nine-tls", facts },
    identity: { tls: present(facts), dkim: present(dkimKeys()) },
    jobs: [],
  };
  now = begin;
  #written: SpecInput = {};

  constructor(spec: SpecInput = {}) {
    this.server = aServer();
    this.write(spec);
  }

  write(spec: SpecInput): void {
    this.#written = spec;
    this.server = { ...this.server, spec: this.#resolved(spec) };
  }

  annotate(annotations: Record<string, string>): void {
    this.server = { ...this.server, metadata: { ...this.server.metadata, annotations } };
  }

  get target(): OperatorTarget {
    return {
      relayImage: this.operator.image,
      configuration: JSON.stringify(this.operator),
      written: this.#written,
      serverWith: (written) => ({ ...this.server, spec: this.#resolved(written as SpecInput) }),
    };
  }

  get update(): Update {
    return updateOf(this.server, this.seen, this.target, this.now);
  }

  /** As it is in the cluster afterwards. */
  apply(rendered: Rendered | undefined = this.update.next): Rendered {
    if (!rendered) throw new Error("there is nothing to apply");
    const set = statefulSet(this.server, {
      template: rendered.revision.template,
      rendered: renderedText(rendered),
    });
    this.seen = { ...this.seen, statefulSet: set };
    return rendered;
  }

  /** The pod of the present template, after so many seconds. */
  podIs(ready: boolean, seconds: number): void {
    this.now = new Date(this.now.getTime() + seconds * 1_000);
    const { metadata = {}, spec } = this.seen.statefulSet?.spec?.template ?? {};
    const conditions = [
      { type: "Ready", status: ready ? "True" : "False", lastTransitionTime: this.now.toISOString() },
    ];
    const containerStatuses = ready
      ? []
      : [
          {
            name: "relay",
            ready: false,
            state: { terminated: { exitCode: 3 } },
            image: "",
            imageID: "",
            restartCount: 2,
          },
        ];
    const pod = {
      ...{ apiVersion: "v1", kind: "Pod" },
      metadata: { ...metadata, name: "nine-0" },
      spec,
      status: { conditions, containerStatuses },
    };
    this.seen = { ...this.seen, pod: pod as unknown as LivePod };
    this.judge();
  }

  judge(): void {
    const seen = { ...this.seen, turn: { update: this.update, goes: false } };
    this.server = { ...this.server, status: { ...this.server.status, ...relayOf(this.server, seen) } };
  }

  /** A server that runs. */
  static running(spec: SpecInput = {}): Played {
    const played = new Played(spec);
    played.apply();
    played.podIs(true, 10);
    return played;
  }

  get member() {
    return memberState(this.server, this.seen, this.update, this.target.configuration);
  }

  get has(): string {
    return this.seen.statefulSet ? (renderedOf(this.seen.statefulSet)?.revision.id ?? "") : "";
  }

  #resolved(written: SpecInput): ChatmailServer["spec"] {
    return ChatmailServerSpec.parse({ domain: "_nine.test", ...this.operator.defaults, ...written });
  }
}

const other = { scheduling: { priorityClassName: "high" } };
const turn = { services: { turn: { enabled: true } } };

describe("which revision, and when", () => {
  test("a new server: that of the operator, at once, and in no rollout until it serves", () => {
    const nine = new Played();
    expect(nine.update.next).toMatchObject({ cause: "created" });
    expect(nine.update.needsTurn).toBeUndefined();
    nine.apply();
    expect(nine.update).not.toHaveProperty("next");
    expect(nine.member).toBeUndefined();
    nine.podIs(true, 10);
    expect(nine.member).toMatchObject({ is: "OnTarget" });
  });

  test("what is noted of two revisions fits well into an annotation", () => {
    const nine = Played.running(turn);
    nine.write({ ...turn, ...other });
    expect(renderedText(nine.apply()).length).toBeLessThan(8_000);
  });

  test("what is applied twice is the same, so nothing is sent", () => {
    const nine = Played.running();
    const { kept } = nine.update;
    expect(kept && renderedText(kept)).toBe(nine.seen.statefulSet?.metadata.annotations?.["chatmail.dev/rendered"]);
  });

  test.each([
    { what: "another image", operator: { image: "relay:2" } },
    { what: "other defaults", operator: { image: "relay:1", defaults: { scheduling: { priorityClassName: "low" } } } },
  ])("an operator with $what: a turn is needed, and until then nothing changes", ({ operator }) => {
    const nine = Played.running();
    const before = nine.has;
    nine.operator = operator;
    nine.write({});
    expect(nine.update).toMatchObject({ needsTurn: true, next: { cause: "upgrade", good: { id: before } } });
    expect(nine.update.kept?.revision.id).toBe(before);
    expect(nine.member).toEqual({ is: "Waiting", isServing: true });
    nine.apply();
    expect(nine.member).toEqual({ is: "OnTarget", wasServing: true });
    nine.podIs(true, 5);
    expect(nine.member).toMatchObject({ is: "OnTarget", wasServing: true, readySince: nine.now });
  });

  test("an operator that makes the same pod of it: nothing, and the server proves nothing about it", () => {
    const nine = Played.running({ image: { reference: "relay:mine" } });
    nine.operator = { image: "relay:2" };
    expect(nine.update).not.toHaveProperty("next");
    expect(nine.member).toBeUndefined();
  });

  test.each([
    { what: "the spec", edit: other },
    { what: "the image", edit: { image: { reference: "relay:mine" } } },
    { what: "what runs beside mail", edit: turn },
  ])("an edit of $what: at once", ({ edit }) => {
    const nine = Played.running();
    nine.write(edit);
    expect(nine.update.next).toMatchObject({ cause: "edit" });
    expect(nine.update.needsTurn).toBeUndefined();
  });

  test("another certificate, and another key, too", () => {
    const nine = Played.running();
    nine.seen = { ...nine.seen, certificate: { ...nine.seen.certificate, secretName: "mine" } };
    expect(nine.update.next).toMatchObject({ cause: "edit" });
    const ten = Played.running();
    const dkim = present(dkimKeys({ selector: "chatmail", key: { type: "rsa", base64: "MIIB" } }));
    ten.seen = { ...ten.seen, identity: { ...ten.seen.identity, dkim } };
    expect(ten.update.next).toMatchObject({ cause: "edit" });
  });

  test("an edit that does not reach the pod is neither, also while an upgrade waits", () => {
    const nine = Played.running();
    nine.write({ accounts: { sendBurst: 3 } });
    expect(nine.update).not.toHaveProperty("next");
    nine.operator = { image: "relay:2" };
    expect(nine.update).toMatchObject({ needsTurn: true, next: { cause: "upgrade" } });
  });

  test("an edit while an upgrade waits: at once, with the image that the server has", () => {
    const nine = Played.running();
    nine.operator = { image: "relay:2" };
    nine.write(other);
    const { next } = nine.update;
    expect(next).toMatchObject({ cause: "edit" });
    expect(next && imageOf(next.revision.template)).toBe("relay:1");
    expect(next?.revision.template.spec?.priorityClassName).toBe("high");
    nine.apply();
    nine.podIs(true, 5);
    // and the upgrade waits as before
    expect(nine.update).toMatchObject({ needsTurn: true, next: { cause: "upgrade" } });
    expect(nine.member).toEqual({ is: "Waiting", isServing: true });
  });

  test("an edit that takes the image back is an upgrade to the operator's", () => {
    const nine = Played.running({ image: { reference: "relay:mine" } });
    nine.write({});
    expect(nine.update).toMatchObject({ needsTurn: true, next: { cause: "upgrade" } });
  });

  test.each([{ first: false }, { first: true }])(
    "an image that does not start is taken back at once (first pod: $first)",
    ({ first }) => {
      const bad = { image: { reference: "relay:bad" } };
      const nine = first ? new Played(bad) : Played.running();
      nine.write(bad);
      nine.apply();
      nine.podIs(false, 20);
      nine.write({});
      const { next, needsTurn } = nine.update;
      expect(next).toMatchObject({ cause: "edit" });
      expect(next && imageOf(next.revision.template)).toBe("relay:1");
      expect(needsTurn).toBeUndefined();
    },
  );

  test("a StatefulSet of an operator that noted nothing is an upgrade, and stays as it is", () => {
    const nine = Played.running();
    const set = nine.seen.statefulSet;
    if (!set?.spec) throw new Error("there is a StatefulSet");
    const { id: _, template } = revisionOf({ ...set.spec.template, metadata: { labels: { old: "one" } } });
    nine.seen = {
      ...nine.seen,
      statefulSet: { ...set, metadata: { ...set.metadata, annotations: {} }, spec: { ...set.spec, template } },
    };
    expect(nine.update).toMatchObject({ needsTurn: true, kept: undefined, next: { cause: "upgrade" } });
  });

  test("what somebody wrote into the annotation is not believed", () => {
    const nine = Played.running();
    const { kept } = nine.update;
    if (!kept || !nine.seen.statefulSet) throw new Error("it runs");
    const forged = { ...kept, revision: { ...kept.revision, template: { spec: { containers: [] } } } };
    const annotations = { "chatmail.dev/rendered": renderedText(forged) };
    const { statefulSet: set } = nine.seen;
    nine.seen = { ...nine.seen, statefulSet: { ...set, metadata: { ...set.metadata, annotations } } };
    expect(renderedOf(nine.seen.statefulSet as LiveStatefulSet)).toBeUndefined();
    // it is of the target: noted again
    expect(nine.update.kept?.revision.id).toBe(kept.revision.id);
  });
});

describe("updatePolicy", () => {
  test("Manual waits for a person, outside of the rollout; the annotation names the revision", () => {
    const nine = Played.running({ updatePolicy: { mode: "Manual" } });
    nine.operator = { image: "relay:2" };
    const { target, waits } = nine.update;
    expect(waits?.message).toContain(`chatmail.dev/update=${target.id}`);
    expect(nine.update.needsTurn).toBeUndefined();
    expect(nine.member).toBeUndefined();
    nine.annotate({ "chatmail.dev/update": "another" });
    expect(nine.update.waits).toBeDefined();
    nine.annotate({ "chatmail.dev/update": target.id });
    expect(nine.update).toMatchObject({ next: { cause: "upgrade" } });
    expect(nine.update.waits).toBeUndefined();
  });

  test("a window keeps upgrades waiting, not edits", () => {
    const nine = Played.running({ updatePolicy: { window: { start: "02:00" } } });
    nine.operator = { image: "relay:2" };
    const opens = new Date("2026-12-01T02:00:00Z");
    expect(nine.update.waits).toEqual({ message: expect.stringContaining("2026-12-01T02:00:00Z"), until: opens });
    expect(nine.member).toEqual({ is: "Waiting", isServing: true, notBefore: opens });
    nine.now = opens;
    expect(nine.update).toMatchObject({ needsTurn: true });
    nine.now = begin;
    nine.write({ ...other, updatePolicy: { window: { start: "02:00" } } });
    expect(nine.update.next).toMatchObject({ cause: "edit" });
    expect(nine.update.waits).toBeUndefined();
  });
});

describe("a revision that does not become ready", () => {
  const failing = (spec: SpecInput = {}, operator: Operator = { image: "relay:1" }) => {
    const nine = Played.running(spec);
    const good = nine.has;
    nine.operator = operator;
    if (operator.image === "relay:1") nine.write({ ...spec, ...other });
    const bad = nine.apply().revision.id;
    nine.podIs(false, 299);
    return { nine, good, bad };
  };

  test.each([
    { cause: "edit", operator: { image: "relay:1" } },
    { cause: "upgrade", operator: { image: "relay:2" } },
  ] as const)("is taken back at its deadline ($cause), once", ({ cause, operator }) => {
    const { nine, good, bad } = failing({}, operator);
    expect(nine.update).not.toHaveProperty("next");
    expect(nine.update.deadline).toEqual(after(10 + 300));
    nine.now = after(310);
    expect(nine.update).toMatchObject({
      next: { cause: "rollback", revision: { id: good } },
      failed: { id: bad, cause },
    });
    expect(nine.update.failed?.message).toMatch(/not ready within 300 seconds: container relay ended with exit code 3/);
    expect(nine.member).toEqual(cause === "upgrade" ? { is: "Failed", isServing: false } : undefined);
    nine.apply();
    nine.podIs(true, 5);
    expect(nine.has).toBe(good);
    expect(nine.update).not.toHaveProperty("next");
    expect(nine.update.failed).toMatchObject({ id: bad, cause });
    expect(nine.member).toEqual(cause === "upgrade" ? { is: "Failed", isServing: true } : undefined);
    expect(nine.server.status?.relay).toMatchObject({ revision: good, failedRevision: bad, target: bad });
    const verdict = upToDateVerdict(nine.server, { ...nine.seen, turn: { update: nine.update, goes: false } });
    expect(verdict).toMatchObject({
      status: "False",
      reason: "UpdateFailed",
      message: expect.stringMatching(/is used again/),
    });
  });

  test("stays with Hold, and is fine when it becomes ready after all", () => {
    const { nine, bad } = failing({ updatePolicy: { onFailure: "Hold" } });
    nine.now = after(400);
    expect(nine.update).not.toHaveProperty("next");
    expect(nine.update.failed).toMatchObject({ id: bad });
    nine.podIs(true, 1);
    expect(nine.update.failed).toBeUndefined();
  });

  test("stays with Hold until another version, in its turn", () => {
    const { nine } = failing({ updatePolicy: { onFailure: "Hold" } }, { image: "relay:2" });
    nine.now = after(400);
    expect(nine.member).toEqual({ is: "Failed", isServing: false });
    nine.operator = { image: "relay:3" };
    expect(nine.update).toMatchObject({ needsTurn: true, next: { cause: "upgrade" } });
    expect(nine.member).toEqual({ is: "Waiting", isServing: false });
  });

  test("stays where nothing was good before it", () => {
    const nine = new Played();
    nine.apply();
    nine.podIs(false, 1_000);
    expect(nine.update).not.toHaveProperty("next");
    expect(nine.update.failed).toBeUndefined();
    // nor was one good whose pod was failing when the change came
    nine.write(other);
    nine.apply();
    nine.podIs(false, 1_000);
    expect(nine.update).not.toHaveProperty("next");
  });

  test("goes back past a second bad edit to what was good", () => {
    const { nine, good } = failing();
    nine.write({ scheduling: { priorityClassName: "higher" } });
    expect(nine.apply().cause).toBe("edit");
    nine.podIs(false, 301);
    expect(nine.update.next).toMatchObject({ cause: "rollback", revision: { id: good } });
  });

  test("is tried again with a new value of the annotation, or when something else is asked for", () => {
    const { nine, good, bad } = failing();
    nine.annotate({ "chatmail.dev/retry-update": "1" });
    nine.now = after(310);
    nine.apply();
    nine.podIs(true, 5);
    expect(nine.update).not.toHaveProperty("next");
    nine.annotate({ "chatmail.dev/retry-update": "2" });
    expect(nine.update.next).toMatchObject({ cause: "edit", revision: { id: bad }, good: { id: good } });
    nine.annotate({});
    nine.write({});
    expect(nine.update).not.toHaveProperty("next");
    expect(nine.update.failed).toBeUndefined();
    nine.write({ scheduling: { priorityClassName: "higher" } });
    expect(nine.update.next).toMatchObject({ cause: "edit" });
  });

  test("is tried again as it was, also while an upgrade waits", () => {
    const nine = Played.running();
    nine.operator = { image: "relay:2" };
    nine.write(other);
    const bad = nine.apply().revision.id;
    nine.podIs(false, 301);
    nine.apply();
    nine.podIs(true, 5);
    expect(nine.update.failed).toMatchObject({ id: bad });
    nine.annotate({ "chatmail.dev/retry-update": "1" });
    expect(nine.update).toMatchObject({ next: { cause: "edit", revision: { id: bad } } });
    expect(nine.update.needsTurn).toBeUndefined();
  });

  test("keeps a bad edit from coming back with an upgrade in disguise, but not a new version of it", () => {
    const { nine, bad } = failing();
    nine.now = after(310);
    nine.apply();
    nine.podIs(true, 5);
    nine.operator = { image: "relay:2" };
    expect(nine.update.failed).toMatchObject({ id: bad });
    expect(nine.update).not.toHaveProperty("next");
    nine.write({});
    expect(nine.update).toMatchObject({ needsTurn: true, next: { cause: "upgrade" } });
  });

  test("once it was ready, what happens to its pod later is not its failure", () => {
    const { nine } = failing();
    nine.podIs(true, 0);
    nine.podIs(false, 1_000);
    expect(nine.update).not.toHaveProperty("next");
    expect(nine.update.failed).toBeUndefined();
  });

  test("with an upgrade that failed, another operator's is tried in its turn", () => {
    const { nine } = failing({}, { image: "relay:2" });
    nine.now = after(310);
    nine.apply();
    nine.podIs(true, 5);
    nine.operator = { image: "relay:3" };
    expect(nine.update).toMatchObject({ needsTurn: true, next: { cause: "upgrade" } });
    expect(nine.member).toEqual({ is: "Waiting", isServing: true });
  });
});

test.each([
  { image: "relay:1.4.0", version: "1.4.0" },
  { image: "registry.example:5000/team/relay:1.4.0", version: "1.4.0" },
  { image: `relay:1.4.0@sha256:${"a".repeat(64)}`, version: "1.4.0" },
  { image: `relay@sha256:${"a".repeat(64)}`, version: undefined },
  { image: "registry.example:5000/team/relay", version: undefined },
])("the version of $image is $version", ({ image, version }) => {
  expect(versionOf(image)).toBe(version);
});
