import { describe, expect, test } from "vitest";
import { dnsTable, inOrder, lacksRequired } from "../../../src/cli/views/dns.ts";
import { freeKey, invitesIn, isKey, keyOfInvite } from "../../../src/cli/views/invites.ts";
import { specRows, specTable } from "../../../src/cli/views/spec.ts";

const plain = (_: string, text: string) => text;
const base64 = (text: string) => Buffer.from(text).toString("base64");

describe("spec", () => {
  const layers = [
    { from: "spec" as const, values: { domain: "nine.example.org", accounts: { registration: "Closed" } } },
    { from: "fleet" as const, name: "community", values: { storage: { size: "20Gi" } } },
    {
      from: "operator configuration" as const,
      values: { storage: { size: "5Gi" }, network: { addresses: ["192.0.2.1"] } },
    },
  ];

  test("each value says where it comes from", () => {
    const found = specRows(layers);
    const rows = "rows" in found ? found.rows : [];
    const of = (field: string) => rows.find((each) => each.field === field);
    expect(of("accounts.registration")).toMatchObject({ value: "Closed", from: "spec" });
    expect(of("storage.size")).toMatchObject({ value: "20Gi", from: "fleet" });
    expect(of("network.addresses")).toMatchObject({ value: ["192.0.2.1"], from: "operator configuration" });
    expect(of("messages.deleteAfterDays")).toMatchObject({ value: 20, from: "built in" });
    expect(specTable(rows, plain)).toMatch(/^storage\.size +20Gi +fleet$/m);
  });

  test("an invalid one is said with its field", () => {
    const broken = [{ from: "spec" as const, values: { domain: "nine.example.org", storage: { size: "much" } } }];
    expect(specRows(broken)).toEqual({ problem: expect.stringMatching(/^spec\.storage\.size: /) as unknown });
  });
});

describe("dns", () => {
  const row = (name: string, need: "Required" | "Recommended", state?: "Published" | "Missing" | "Different") => ({
    name,
    type: "TXT",
    values: ["v"],
    need,
    ...(state && { state }),
  });
  const records = [
    row("a.", "Required", "Published"),
    row("b.", "Recommended", "Missing"),
    row("c.", "Required", "Missing"),
    row("d.", "Required"),
    row("e.", "Recommended", "Different"),
  ];

  test("what mail needs comes first among what is missing", () => {
    expect(inOrder(records).map(({ name }) => name)).toEqual(["e.", "c.", "b.", "d.", "a."]);
  });

  test.each([
    { when: "there is no status", dns: undefined, lacks: true },
    { when: "a required one is missing", dns: { records: [row("a.", "Required", "Missing")] }, lacks: true },
    { when: "nobody knows of a required one", dns: { records: [row("a.", "Required")] }, lacks: true },
    { when: "recommended ones are missing", dns: { records: [row("a.", "Recommended", "Missing")] }, lacks: false },
  ])("$when: $lacks", ({ dns, lacks }) => {
    expect(lacksRequired(dns)).toBe(lacks);
  });

  test("the table says how many of which are to be published, and where", () => {
    const dns = { records, zone: "example.org", nameServers: ["ns1.example.org"] };
    const text = dnsTable(dns, { paint: plain, wide: false });
    expect(text).toContain(
      "2 required and 2 recommended records are not published as they have to be (zone example.org at ns1.example.org)",
    );
  });
});

describe("invites", () => {
  const data = {
    link: base64("https://nine.example.org/i/k3v9hx7m2w5ntd4qp8ra"),
    choir: base64("choir-2026"),
    note: base64("no!"),
  };

  test("links, tokens and what is neither", () => {
    expect(invitesIn("nine.example.org", data).map(({ key, page }) => `${key} ${page}`)).toEqual([
      "link https://nine.example.org/i/k3v9hx7m2w5ntd4qp8ra",
      "choir https://nine.example.org/i/choir-2026",
    ]);
  });

  test.each([
    { named: "choir", key: "choir" },
    { named: "choir-2026", key: "choir" },
    { named: "https://nine.example.org/i/k3v9hx7m2w5ntd4qp8ra", key: "link" },
    { named: "note", key: "note" },
    { named: "choir-2025", key: undefined },
    { named: "no!", key: undefined },
  ])("$named is key $key", ({ named, key }) => {
    expect(keyOfInvite("nine.example.org", data, named)).toBe(key);
  });

  test("a key that is free, and one that a Secret may have", () => {
    expect(freeKey(["link"])).toBe("invite-2");
    expect(freeKey(["link", "invite-3"])).toBe("invite-4");
    expect([isKey("friends.2"), isKey("a/b"), isKey(""), isKey("..data")]).toEqual([true, false, false, false]);
  });
});
