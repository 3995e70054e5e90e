/** v1alpha1 only grows: what people have today is accepted by every later version. */
import { describe, expect, test } from "vitest";
import { type CrdShape, refusedChanges, shapeOf } from "../../../scripts/crd-changes.ts";
import { storedCrds } from "../../../scripts/stored-crds.ts";
import { crdOf, type Structural } from "../../../src/api/crd.ts";
import { type Kind, kinds } from "../../../src/api/kinds.ts";
import { neededWhen, notGreater, onlyWhen, unchanged, unchangedWhile } from "../../../src/api/rules.ts";
import { type CelRule, celKeyword } from "../../../src/api/schema.ts";

test.each(storedCrds())("$plural takes all that the stored one takes, and its additions are stored", (crd) => {
  expect(crd.refused).toEqual([]);
  expect(crd.isFresh ? "stored" : "not stored: npm run accept-crds").toBe("stored");
});

const before = shapeOf(crdOf(kinds[0] as Kind));
const changed = (change: (shape: CrdShape) => void): CrdShape => {
  const copy = structuredClone(before);
  change(copy);
  return copy;
};
const versionOf = (shape: CrdShape) => shape.versions[0] as CrdShape["versions"][number];
const at = (shape: CrdShape, path: string): Structural =>
  path.split(".").reduce<Structural>((schema, name) => {
    const inner = name === "[]" ? schema.items : name === "*" ? schema.additionalProperties : schema.properties?.[name];
    if (!inner) throw new Error(`${path}: no such field`);
    return inner;
  }, versionOf(shape).schema);
const group = (shape: CrdShape, path: string) => at(shape, path).properties as Record<string, Structural>;
const addRule = (shape: CrdShape, path: string, { rule }: Pick<CelRule, "rule">) => {
  at(shape, path)[celKeyword] = [...(at(shape, path)[celKeyword] ?? []), { rule, message: "" }];
};
const switched: Structural = { type: "boolean" };
const text: Structural = { type: "string", maxLength: 10 };

describe("refused:", () => {
  const planted: readonly { change: string; by: (shape: CrdShape) => void; says: RegExp }[] = [
    {
      change: "a field is removed",
      by: (shape) => delete group(shape, "spec.accounts").sendBurst,
      says: /^spec\.accounts\.sendBurst: the field is gone$/,
    },
    {
      change: "a field of the status is removed",
      by: (shape) => delete group(shape, "status.dns.records.[]").values,
      says: /^status\.dns\.records\[\]\.values: the field is gone$/,
    },
    {
      change: "a group is removed",
      by: (shape) => delete group(shape, "spec").privacy,
      says: /^spec\.privacy: the field is gone$/,
    },
    {
      change: "a field is renamed",
      by: (shape) => {
        const fields = group(shape, "spec.storage");
        fields.class = fields.storageClassName as Structural;
        delete fields.storageClassName;
      },
      says: /^spec\.storage\.storageClassName: the field is gone$/,
    },
    {
      change: "a number is text",
      by: (shape) => {
        at(shape, "spec.accounts.sendBurst").type = "string";
      },
      says: /^spec\.accounts\.sendBurst: type changed$/,
    },
    {
      change: "a number may be less great",
      by: (shape) => {
        at(shape, "spec.accounts.sendBurst").maximum = 9_999;
      },
      says: /sendBurst: maximum is narrower/,
    },
    {
      change: "a number may be less small",
      by: (shape) => {
        at(shape, "spec.accounts.sendBurst").minimum = 2;
      },
      says: /sendBurst: minimum is narrower/,
    },
    {
      change: "a text may be less long",
      by: (shape) => {
        at(shape, "spec.privacy.postal").maxLength = 999;
      },
      says: /postal: maxLength is narrower/,
    },
    {
      change: "a text may not be short",
      by: (shape) => {
        at(shape, "spec.privacy.postal").minLength = 2;
      },
      says: /postal: minLength is narrower/,
    },
    {
      change: "a list may have fewer items",
      by: (shape) => {
        at(shape, "spec.network.privatePeers").maxItems = 31;
      },
      says: /privatePeers: maxItems is narrower/,
    },
    {
      change: "a list must have items",
      by: (shape) => {
        at(shape, "spec.network.privatePeers").minItems = 1;
      },
      says: /privatePeers: minItems is narrower/,
    },
    {
      change: "an item may be less long",
      by: (shape) => {
        at(shape, "spec.network.privatePeers.[]").maxLength = 40;
      },
      says: /^spec\.network\.privatePeers\[\]: maxLength is narrower$/,
    },
    {
      change: "a map may have fewer entries",
      by: (shape) => {
        at(shape, "spec.scheduling.nodeSelector").maxProperties = 49;
      },
      says: /nodeSelector: maxProperties is narrower/,
    },
    {
      change: "a value of a map may be less long",
      by: (shape) => {
        at(shape, "spec.scheduling.nodeSelector.*").maxLength = 62;
      },
      says: /^spec\.scheduling\.nodeSelector\.\*: maxLength is narrower$/,
    },
    {
      change: "a list becomes a map by key",
      by: (shape) => {
        at(shape, "spec.network.privatePeers")["x-kubernetes-list-type"] = "atomic";
      },
      says: /privatePeers: x-kubernetes-list-type changed/,
    },
    {
      change: "a choice is gone",
      by: (shape) => {
        at(shape, "spec.management").enum = ["Managed", "Paused"];
      },
      says: /^spec\.management: Unmanaged is no longer accepted$/,
    },
    {
      change: "a text becomes a choice",
      by: (shape) => {
        at(shape, "spec.privacy.postal").enum = ["here", "there"];
      },
      says: /postal: all but a few values is no longer accepted/,
    },
    {
      change: "a pattern comes",
      by: (shape) => {
        at(shape, "spec.privacy.postal").pattern = "^[A-Z]";
      },
      says: /postal: pattern is narrower/,
    },
    {
      change: "a format comes",
      by: (shape) => {
        at(shape, "spec.privacy.postal").format = "email";
      },
      says: /postal: format is narrower/,
    },
    {
      change: "a field that was optional is required",
      by: (shape) => {
        at(shape, "spec").required = ["domain", "accounts"];
      },
      says: /^spec: accounts is required now$/,
    },
    {
      change: "a new field is required",
      by: (shape) => {
        group(shape, "spec.accounts").karma = { type: "integer" };
        at(shape, "spec.accounts").required = ["karma"];
      },
      says: /^spec\.accounts: karma is required now$/,
    },
    {
      change: "a default comes",
      by: (shape) => {
        at(shape, "spec.accounts.sendBurst").default = 10;
      },
      says: /sendBurst: default changed/,
    },
    {
      change: "a default changes",
      by: (shape) => {
        at(shape, "status").default = { observedGeneration: 0 };
      },
      says: /^status: default changed$/,
    },
    {
      change: "a default goes",
      by: (shape) => delete at(shape, "status").default,
      says: /^status: default changed$/,
    },
    {
      change: "a rule comes",
      by: (shape) => addRule(shape, "spec.accounts", notGreater("sendBurst", "createBurst")),
      says: /^spec\.accounts: a rule is new or changed: /,
    },
    {
      change: "a rule is tightened",
      by: (shape) => {
        const [first] = at(shape, "spec.domain")[celKeyword] ?? [];
        if (first) first.rule = 'self.matches("^[a-z]+$")';
      },
      says: /^spec\.domain: a rule is new or changed: self\.matches/,
    },
    {
      change: "a field can no longer be edited",
      by: (shape) => addRule(shape, "spec.storage", unchanged("size", "")),
      says: /^spec\.storage: a rule is new or changed: /,
    },
    {
      change: "a rule asks for a new field",
      by: (shape) => {
        group(shape, "spec.certificate").later = text;
        addRule(shape, "spec.certificate", neededWhen("later", "source", "Secret"));
      },
      says: /^spec\.certificate: a rule is new or changed: /,
    },
    {
      change: "a rule that looks as if it were about a new field is about an old one",
      by: (shape) => {
        group(shape, "spec.certificate").later = text;
        addRule(shape, "spec.certificate", { rule: "!has(self.secret) && (!(has(self.later)) || true)" });
      },
      says: /^spec\.certificate: a rule is new or changed: /,
    },
    {
      change: "the object's own rule changes",
      by: (shape) => {
        const [first] = versionOf(shape).schema[celKeyword] ?? [];
        if (first) first.rule = "self.metadata.name.size() <= 9";
      },
      says: /^the object: a rule is new or changed/,
    },
    { change: "a short name is gone", by: (shape) => shape.names.shortNames.pop(), says: /shortNames: cms is gone/ },
    {
      change: "the category is gone",
      by: (shape) => shape.names.categories.pop(),
      says: /categories: chatmail is gone/,
    },
    {
      change: "the kind is another",
      by: (shape) => {
        shape.names.kind = "Other";
      },
      says: /^names\.kind: changed$/,
    },
    {
      change: "the scope is another",
      by: (shape) => {
        shape.scope = "Cluster";
      },
      says: /^scope: changed$/,
    },
    { change: "the version is gone", by: (shape) => shape.versions.pop(), says: /^v1alpha1: the version is gone$/ },
    {
      change: "the version is not served",
      by: (shape) => {
        versionOf(shape).served = false;
      },
      says: /no longer served/,
    },
    {
      change: "the status is no subresource",
      by: (shape) => versionOf(shape).subresources.pop(),
      says: /subresource status is gone/,
    },
    {
      change: "the domain can't be selected",
      by: (shape) => versionOf(shape).selectableFields.shift(),
      says: /\.spec\.domain can no longer be selected/,
    },
  ];
  test.each(planted)("$change", ({ by, says }) => {
    const changes = refusedChanges(before, changed(by));
    expect(changes).toHaveLength(1);
    expect(changes[0]).toMatch(says);
  });
});

describe("accepted:", () => {
  const additions: readonly { change: string; by: (shape: CrdShape) => void }[] = [
    { change: "nothing changes", by: () => undefined },
    {
      change: "a field comes",
      by: (shape) => {
        group(shape, "spec.accounts").karma = { type: "integer", maximum: 5 };
      },
    },
    {
      change: "a group comes, with what it needs itself",
      by: (shape) => {
        const secretRef: Structural = { type: "object", required: ["name"], properties: { name: text } };
        group(shape, "spec").archive = { type: "object", required: ["secretRef"], properties: { secretRef } };
      },
    },
    {
      change: "a choice comes",
      by: (shape) => at(shape, "spec.certificate.source").enum?.push("Broker"),
    },
    {
      change: "bounds are wider",
      by: (shape) => {
        at(shape, "spec.accounts.sendBurst").maximum = 20_000;
        at(shape, "spec.accounts.sendBurst").minimum = 0;
        delete at(shape, "spec.privacy.postal").maxLength;
      },
    },
    { change: "a field is no longer required", by: (shape) => at(shape, "spec.certificate.secret").required?.pop() },
    { change: "a rule goes", by: (shape) => at(shape, "spec.network")[celKeyword]?.pop() },
    {
      change: "a new field has rules with old ones",
      by: (shape) => {
        group(shape, "spec.certificate").broker = { type: "object", properties: { email: text } };
        addRule(shape, "spec.certificate", onlyWhen("broker", "source", "Broker", "Auto"));
        addRule(shape, "spec.certificate", onlyWhen("broker.email", "source", "Broker", "Auto"));
        group(shape, "spec.accounts").least = { type: "integer" };
        addRule(shape, "spec.accounts", notGreater("least", "sendBurst"));
      },
    },
    {
      change: "a new field can't be edited",
      by: (shape) => {
        group(shape, "spec").origin = switched;
        addRule(shape, "spec", unchanged("origin", ""));
        group(shape, "spec.network").later = text;
        addRule(shape, "spec.network", unchangedWhile("later", "exposure", "LoadBalancer", "LoadBalancer"));
      },
    },
    { change: "a short name comes", by: (shape) => shape.names.shortNames.push("relay") },
    {
      change: "a version comes",
      by: (shape) => shape.versions.push({ ...versionOf(shape), name: "v1beta1", storage: false }),
    },
  ];
  test.each(additions)("$change", ({ by }) => expect(refusedChanges(before, changed(by))).toEqual([]));

  test("a rule that asks for a field which had to be there, or for a new one", () => {
    const rule = "has(self.domain) || has(self.brandNew)";
    expect(
      refusedChanges(
        before,
        changed((shape) => addRule(shape, "spec", { rule })),
      ),
    ).toEqual([]);
    const other = "has(self.storage) || has(self.brandNew)";
    expect(
      refusedChanges(
        before,
        changed((shape) => addRule(shape, "spec", { rule: other })),
      ),
    ).toHaveLength(1);
  });

  test("descriptions, messages and columns are no part of the shape", () => {
    const crd = crdOf(kinds[0] as Kind);
    const other = structuredClone(crd);
    const [version] = other.spec.versions;
    if (!version) throw new Error("no version");
    version.schema.openAPIV3Schema.description = "another";
    version.additionalPrinterColumns.pop();
    expect(shapeOf(other)).toEqual(shapeOf(crd));
  });

  test("a changed rule of which its author says that it is looser, and no rule beside it", () => {
    const looser = changed((shape) => {
      const [first] = at(shape, "spec.domain")[celKeyword] ?? [];
      if (first) first.rule = 'self.matches(".*")';
    });
    expect(refusedChanges(before, looser, ["spec.domain"])).toEqual([]);
    expect(refusedChanges(before, looser, ["spec.accounts"])).toHaveLength(1);
    addRule(looser, "spec.domain", { rule: "self.size() < 9" });
    expect(refusedChanges(before, looser, ["spec.domain"])).toHaveLength(2);
  });
});
